"""Tokens to a tree: precedence climbing over CEL's grammar; macros are expanded on the way."""

from __future__ import annotations

from typing import Final

from roadstead.expr.cel import macros
from roadstead.expr.cel.errors import CompileError
from roadstead.expr.cel.lexer import RESERVED, Token, tokens
from roadstead.expr.cel.tree import Call, Ident, ListNode, Literal, MapNode, Node, Select
from roadstead.expr.cel.values import INT_MAX, INT_MIN, Uint

MAX_LENGTH: Final = 10 * 1024
"""Bytes of an expression (resource.k8s.io `CELSelectorExpressionMaxLength`)."""
MAX_DEPTH: Final = 100
"""Nesting, and length of a chain of one operator. The reference implementation allows 250."""

_LEVELS: Final[dict[str, int]] = {
    "||": 1, "&&": 2, "<": 3, "<=": 3, ">": 3, ">=": 3, "==": 3, "!=": 3, "in": 3, "+": 4, "-": 4, "*": 5, "/": 5, "%": 5,
}  # fmt: skip
_NAMES: Final = {"in": "@in"}


def parse(text: str) -> Node:
    """The tree of an expression. CompileError, with its place, if it is none. O(length)."""
    parser = _Parser(tokens(text))
    node = parser.expression()
    parser.expect("end")
    return node


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.at = 0
        self.depth = 0

    @property
    def look(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def accept(self, kind: str) -> bool:
        if self.look.kind == kind:
            self.at += 1
            return True
        return False

    def expect(self, kind: str) -> Token:
        token = self.look
        if token.kind != kind:
            shown = "<EOF>" if token.kind == "end" else str(token.value)
            raise CompileError(f"Syntax error: mismatched input '{shown}' expecting '{kind}'", token.at)
        return self.take()

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise CompileError(f"expression recursion limit exceeded: {MAX_DEPTH}", self.look.at)
        condition = self.binary(1)
        if self.look.kind == "?":
            at = self.take().at
            yes = self.binary(1)
            self.expect(":")
            condition = Call(at, "_?_:_", None, [condition, yes, self.expression()])
        self.depth -= 1
        return condition

    def binary(self, level: int) -> Node:
        left = self.unary()
        chain = 0
        while True:
            token = self.look
            own = _LEVELS.get(token.kind, 0)
            if own < level:
                return left
            self.take()
            right = self.binary(own + 1)
            name = _NAMES.get(token.kind, f"_{token.kind}_")
            if own < 3 and isinstance(left, Call) and left.function == name and chain:
                left.args.append(right)  # a || b || c is one call, however long
            else:
                left = Call(token.at, name, None, [left, right])
            chain += 1
            if own >= 3 and chain > MAX_DEPTH:
                raise CompileError(f"expression recursion limit exceeded: {MAX_DEPTH}", token.at)

    def unary(self) -> Node:
        start = self.look
        if start.kind not in ("!", "-"):
            return self.member()
        count = 0
        while self.look.kind == start.kind:
            last = self.take()
            count += 1
        if start.kind == "-" and self.look.kind == "number" and not isinstance(self.look.value, Uint):
            operand = self.member(negative=True)  # the last sign belongs to the number
            count -= 1
        else:
            operand = self.member()
        if count % 2 == 0:
            return operand
        return Call(last.at, f"{start.kind}_", None, [operand])

    def member(self, *, negative: bool = False) -> Node:
        node = self.primary(negative)
        chain = 0
        while True:
            token = self.look
            if token.kind == ".":
                self.take()
                optional = self.accept("?")
                field = self.expect("ident")
                if not optional and self.look.kind == "(":
                    at = self.take().at
                    node = macros.expand(at, field.value, node, self.arguments(")"))
                else:
                    node = Select(token.at, node, field.value, optional=optional)
            elif token.kind == "[":
                self.take()
                optional = self.accept("?")
                index = self.expression()
                self.expect("]")
                node = Call(token.at, "_[?_]" if optional else "_[_]", None, [node, index])
            else:
                return node
            chain += 1
            if chain > MAX_DEPTH:
                raise CompileError(f"expression recursion limit exceeded: {MAX_DEPTH}", token.at)

    def arguments(self, closing: str) -> list[Node]:
        found: list[Node] = []
        if self.accept(closing):
            return found
        while True:
            found.append(self.expression())
            if not self.accept(","):
                self.expect(closing)
                return found

    def primary(self, negative: bool) -> Node:
        token = self.take()
        match token.kind:
            case "number":
                return Literal(token.at, self.number(token, negative))
            case "literal":
                return Literal(token.at, token.value)
            case "(":
                node = self.expression()
                self.expect(")")
                return node
            case "[":
                return self.list_literal(token.at)
            case "{":
                return self.map_literal(token.at)
            case "." if self.look.kind == "ident":
                return self.name(self.take())
            case "ident":
                return self.name(token)
        shown = "<EOF>" if token.kind == "end" else str(token.value)
        raise CompileError(f"Syntax error: mismatched input '{shown}' expecting an expression", token.at)

    def number(self, token: Token, negative: bool) -> int | float:
        value: int | float = token.value
        if isinstance(value, float):
            return -value if negative else value
        if isinstance(value, Uint):
            return value
        value = -value if negative else value
        if not INT_MIN <= value <= INT_MAX:
            raise CompileError("Syntax error: invalid int literal", token.at)
        return value

    def name(self, token: Token) -> Node:
        if token.value in RESERVED:
            raise CompileError(f"Syntax error: reserved identifier: {token.value}", token.at)
        if self.look.kind == "(":
            at = self.take().at
            return macros.expand(at, token.value, None, self.arguments(")"))
        return Ident(token.at, token.value)

    def list_literal(self, at: int) -> Node:
        node = ListNode(at, [])
        while not self.accept("]"):
            if self.accept("?"):
                node.optional.add(len(node.elements))
            node.elements.append(self.expression())
            if not self.accept(","):
                self.expect("]")
                break
        return node

    def map_literal(self, at: int) -> Node:
        node = MapNode(at, [])
        while not self.accept("}"):
            if self.accept("?"):
                node.optional.add(len(node.entries))
            key = self.expression()
            self.expect(":")
            node.entries.append((key, self.expression()))
            if not self.accept(","):
                self.expect("}")
                break
        return node
