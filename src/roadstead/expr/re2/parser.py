"""RE2's grammar: patterns to programs."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from roadstead.expr.re2.characters import (
    CATEGORIES,
    ESCAPES,
    PERL,
    POSIX,
    Test,
    any_of,
    between,
    category,
    folded,
    is_word,
    none_of,
)
from roadstead.expr.re2.machine import Code, Match, Pattern, either, linked, maybe, one_char, plus, star

MAX_REPEAT: Final = 1000
MAX_PROGRAM: Final = 20_000
MAX_DEPTH: Final = 200


class PatternError(ValueError):
    """RE2 would not take the pattern; the message is Go's."""


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Pattern:
    """PatternError if RE2 would not take it. O(length, repeats expanded). Kept by text."""
    parser = _Parser(pattern)
    code = parser.alternatives()
    if parser.at < len(pattern):
        raise PatternError(f"error parsing regexp: unexpected ): `{pattern}`")
    return Pattern([*linked(code), Match()])


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.flags: frozenset[str] = frozenset()
        self.names: set[str] = set()

    def fail(self, what: str, piece: str | None = None) -> PatternError:
        return PatternError(f"error parsing regexp: {what}: `{self.text if piece is None else piece}`")

    def look(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def accept(self, text: str) -> bool:
        if self.look(text):
            self.at += len(text)
            return True
        return False

    def take(self) -> str:
        if self.at >= len(self.text):
            raise self.fail("trailing backslash at end of expression", "")
        self.at += 1
        return self.text[self.at - 1]

    def alternatives(self) -> Code:
        flags = self.flags
        branches = [self.sequence()]
        while self.accept("|"):
            branches.append(self.sequence())
        self.flags = flags
        code = branches[-1]
        for branch in reversed(branches[:-1]):
            code = self.checked(either(branch, code))
        return code

    def checked(self, code: Code) -> Code:
        if len(code) > MAX_PROGRAM:
            raise self.fail("expression too large")
        return code

    def sequence(self) -> Code:
        code: Code = ()
        while self.at < len(self.text) and not self.look("|") and not self.look(")"):
            code = self.checked(code + self.repeated())
        return code

    def repeated(self) -> Code:
        start = self.at
        if self.text[start] in "*+?":
            raise self.fail("missing argument to repetition operator", self.text[start])
        code, can_repeat = self.atom()
        times = 0
        while self.at < len(self.text):
            begin = self.at
            bounds = self.bounds()
            if bounds is None:
                return code
            if not can_repeat:
                raise self.fail("missing argument to repetition operator", self.text[begin : self.at])
            times += 1
            lazy = self.accept("?") != ("U" in self.flags)
            if times > 1:
                raise self.fail("invalid nested repetition operator", self.text[start : self.at])
            code = self.checked(self.expand(code, *bounds, lazy))
        return code

    def bounds(self) -> tuple[int, int | None] | None:
        """How often what stands before is repeated: (least, most or None for any number); None if it is not."""
        for symbol, found in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.accept(symbol):
                return found
        if not self.look("{"):
            return None
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at + 1 : end].partition(",") if end > 0 else ("", "", "")
        if not low.isdigit() or not low.isascii() or (high and not (high.isdigit() and high.isascii())):
            return None  # a brace by itself
        piece = self.text[self.at : end + 1]
        self.at = end + 1
        least, most = int(low), int(high) if high else (None if comma else int(low))
        if least > MAX_REPEAT or (most is not None and (most > MAX_REPEAT or most < least)):
            raise self.fail("invalid repeat count", piece)
        return least, most

    def expand(self, code: Code, least: int, most: int | None, lazy: bool) -> Code:
        if len(code) * max(least, most or 0, 1) > MAX_PROGRAM:
            raise self.fail("invalid repeat count")
        if most is None:
            return code * (least - 1) + plus(code, lazy) if least else star(code, lazy)
        optional: Code = ()
        for _ in range(most - least):
            optional = maybe(code + optional, lazy)
        return code * least + optional

    def atom(self) -> tuple[Code, bool]:
        """One piece, and whether it may be repeated."""
        char = self.take()
        match char:
            case "(":
                return self.group()
            case "[":
                return one_char(self.char_class()), True
            case ".":
                return one_char((lambda _: True) if "s" in self.flags else (lambda each: each != "\n")), True
            case "^":
                return (("assert", "^" if "m" in self.flags else "\\A", 0, 0),), True
            case "$":
                return (("assert", "$" if "m" in self.flags else "\\z", 0, 0),), True
            case "\\":
                return self.escape(), True
        return self.literal(char), True

    def literal(self, char: str) -> Code:
        def same(each: str) -> bool:
            return each == char

        return one_char(folded(same) if "i" in self.flags else same)

    def group(self) -> tuple[Code, bool]:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail("expression nests too deeply")
        flags = self.flags
        if self.accept("?"):
            if self.look("P<") or self.look("<"):
                self.name()
            elif self.group_flags():
                self.depth -= 1
                return (), False  # (?i): from here to the end of the group
        code = self.alternatives()
        if not self.accept(")"):
            raise self.fail("missing closing )")
        self.flags = flags
        self.depth -= 1
        return code, True

    def name(self) -> None:
        start = self.at - 2
        self.accept("P")
        self.accept("<")
        end = self.text.find(">", self.at)
        name = self.text[self.at : end] if end > 0 else ""
        if not name or not all(is_word(char) for char in name):
            raise self.fail("invalid named capture", self.text[start : end + 1 if end > 0 else len(self.text)])
        if name in self.names:
            raise self.fail("duplicate capture group name", name)
        self.names.add(name)
        self.at = end + 1

    def group_flags(self) -> bool:
        """Read `i`, `m`, `s`, `U` after `(?`. True if the group ends with them."""
        start = self.at - 2
        on = True
        flags = set(self.flags)
        read = 0
        while self.at < len(self.text):
            char = self.take()
            if char in ":)" and not (not on and not read):
                self.flags = frozenset(flags)
                return char == ")"
            if char == "-" and on:
                on, read = False, 0
            elif char in "imsU":
                read += 1
                flags.add(char) if on else flags.discard(char)
            else:
                break
        raise self.fail("invalid or unsupported Perl syntax", self.text[start : self.at])

    def escape(self) -> Code:
        start = self.at - 1
        char = self.take()
        if char in "AzbB":
            return (("assert", f"\\{char}", 0, 0),)
        if char == "Q":
            end = self.text.find("\\E", self.at)
            quoted = self.text[self.at : end if end >= 0 else len(self.text)]
            self.at = end + 2 if end >= 0 else len(self.text)
            code: Code = ()
            for each in quoted:
                code += self.literal(each)
            return code
        test = self.escaped_class(char)
        if test is not None:
            return one_char(folded(test) if "i" in self.flags else test)
        return self.literal(self.escaped_char(char, start))

    def escaped_class(self, char: str) -> Test | None:
        if char.lower() in PERL:
            test = PERL[char.lower()]
            return none_of(test) if char.isupper() else test
        if char not in "pP":
            return None
        name = self.take()
        if name == "{":
            end = self.text.find("}", self.at)
            if end < 0:
                raise self.fail("invalid character class range", self.text[self.at - 3 :])
            name = self.text[self.at : end]
            self.at = end + 1
        negated = (char == "P") != name.startswith("^")
        name = name.removeprefix("^")
        if not name or name[0] not in CATEGORIES or len(name) > 2:
            raise self.fail("invalid character class range", f"\\{char}{{{name}}}")
        return none_of(category(name)) if negated else category(name)

    def escaped_char(self, char: str, start: int) -> str:
        if char in ESCAPES:
            return ESCAPES[char]
        if char == "x":
            return self.hexadecimal(start)
        if char in "01234567":
            digits = char
            while len(digits) < 3 and self.at < len(self.text) and self.text[self.at] in "01234567":
                digits += self.take()
            if char != "0" and len(digits) < 2:
                raise self.fail("invalid escape sequence", f"\\{char}")  # a backreference
            return chr(int(digits, 8))
        if char.isascii() and char.isalnum():
            raise self.fail("invalid escape sequence", f"\\{char}")
        return char

    def hexadecimal(self, start: int) -> str:
        end = self.text.find("}", self.at) if self.look("{") else self.at + 2
        digits = self.text[self.at : end].strip("{")
        self.at = end + 1 if self.look("{") else end
        try:
            return chr(int(digits, 16))
        except (ValueError, OverflowError):
            raise self.fail("invalid escape sequence", self.text[start : max(self.at, start + 2)]) from None

    def char_class(self) -> Test:
        start = self.at - 1
        negated = self.accept("^")
        tests: list[Test] = []
        first = True
        while first or not self.look("]"):
            if self.at >= len(self.text):
                raise self.fail("missing closing ]", self.text[start:])
            first = False
            if self.look("[:"):
                test = self.posix()
                if test is not None:
                    tests.append(test)
                    continue
            tests.append(self.class_item())
        self.at += 1
        test = any_of(tests)
        test = folded(test) if "i" in self.flags else test
        return none_of(test) if negated else test

    def posix(self) -> Test | None:
        end = self.text.find(":]", self.at)
        if end < 0:
            return None
        name = self.text[self.at + 2 : end]
        negated = name.startswith("^")
        if name.removeprefix("^") not in POSIX:
            raise self.fail("invalid character class range", self.text[self.at : end + 2])
        self.at = end + 2
        test = POSIX[name.removeprefix("^")]
        return none_of(test) if negated else test

    def class_item(self) -> Test:
        start = self.at
        low = self.take()
        if low == "\\":
            char = self.take()
            test = self.escaped_class(char)
            if test is not None:
                return test
            low = self.escaped_char(char, start)
        if not self.look("-") or self.text[self.at + 1 : self.at + 2] in ("]", ""):
            return between(low, low)
        self.at += 1
        high = self.take()
        if high == "\\":
            high = self.escaped_char(self.take(), start)
        if high < low:
            raise self.fail("invalid character class range", self.text[start : self.at])
        return between(low, high)
