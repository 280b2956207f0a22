"""Regular expressions as RE2 understands them, in time that grows with the text alone (github.com/google/re2/wiki/Syntax).

Python's own engine knows more (backreferences, lookaround) and can take exponential time; an expression from a user must not be
able to stop a scheduler. A pattern becomes a program of a few instructions, which is run on all alternatives at once (Pike's
machine): O(length of the text x length of the program). Matches are leftmost, and by preference as in Perl.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

MAX_REPEAT: Final = 1000
MAX_PROGRAM: Final = 20_000
MAX_DEPTH: Final = 200

Test = Callable[[str], bool]


class PatternError(ValueError):
    """RE2 would not take the pattern; the message is Go's."""


# --- the program


@dataclass(slots=True)
class _Char:
    test: Test


@dataclass(slots=True)
class _Split:
    """Go on at both places, the first preferred."""

    first: int
    second: int


@dataclass(slots=True)
class _Assert:
    kind: str


class _Match:
    __slots__ = ()


_Instruction = _Char | _Split | _Assert | _Match


class Pattern:
    """A compiled pattern."""

    def __init__(self, program: list[_Instruction]) -> None:
        self.program = program

    def search(self, text: str, start: int = 0) -> tuple[int, int] | None:
        """(begin, end) of the leftmost match from `start` on; None if there is none."""
        threads: list[tuple[int, int]] = []
        found: tuple[int, int] | None = None
        for at in range(start, len(text) + 1):
            seen: set[int] = set()
            ready: list[tuple[int, int]] = []
            for place, begin in threads:
                self._follow(place, begin, text, at, seen, ready)
            if found is None:
                self._follow(0, at, text, at, seen, ready)
            threads = []
            for place, begin in ready:
                instruction = self.program[place]
                if isinstance(instruction, _Match):
                    found = (begin, at)
                    break  # what comes after is preferred less
                if at < len(text) and isinstance(instruction, _Char) and instruction.test(text[at]):
                    threads.append((place + 1, begin))
            if not threads and found is not None:
                break
        return found

    def matches(self, text: str) -> bool:
        """Does it match anywhere in the text?"""
        return self.search(text) is not None

    def find_all(self, text: str, limit: int = -1) -> list[str]:
        """The matches from left to right, at most so many; an empty one right after another match does not count."""
        found: list[str] = []
        at, last = 0, -1
        while at <= len(text) and (limit < 0 or len(found) < limit):
            span = self.search(text, at)
            if span is None:
                break
            begin, end = span
            if end > begin or begin != last:
                found.append(text[begin:end])
            last = end
            at = end if end > begin else end + 1
        return found

    def _follow(self, place: int, begin: int, text: str, at: int, seen: set[int], ready: list[tuple[int, int]]) -> None:
        """Add what can be reached from here without reading a character, in the order of preference."""
        pending = [place]
        while pending:
            here = pending.pop()
            if here in seen:
                continue
            seen.add(here)
            instruction = self.program[here]
            if isinstance(instruction, _Split):
                pending.append(instruction.second)
                pending.append(instruction.first)
            elif isinstance(instruction, _Assert):
                if _holds(instruction.kind, text, at):
                    pending.append(here + 1)
            else:
                ready.append((here, begin))


def _holds(kind: str, text: str, at: int) -> bool:
    match kind:
        case "\\A":
            return at == 0
        case "\\z":
            return at == len(text)
        case "^":
            return at == 0 or text[at - 1] == "\n"
        case "$":
            return at == len(text) or text[at] == "\n"
    before = at > 0 and _is_word(text[at - 1])
    after = at < len(text) and _is_word(text[at])
    return (before != after) == (kind == "\\b")


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Pattern:
    """PatternError if RE2 would not take it. O(length, repeats expanded). Kept by text."""
    parser = _Parser(pattern)
    code = parser.alternatives()
    if parser.at < len(pattern):
        raise PatternError(f"error parsing regexp: unexpected ): `{pattern}`")
    return Pattern([*_linked(code), _Match()])


# --- fragments: programs whose jumps are relative

_Code = tuple[tuple[str, object, int, int], ...]
"""(kind, argument, first jump, second jump); jumps count from the instruction itself."""


def _linked(code: _Code) -> list[_Instruction]:
    found: list[_Instruction] = []
    for at, (kind, argument, first, second) in enumerate(code):
        if kind == "split":
            found.append(_Split(at + first, at + second))
        elif kind == "assert":
            found.append(_Assert(str(argument)))
        else:
            assert callable(argument)
            found.append(_Char(argument))
    return found


def _char(test: Test) -> _Code:
    return (("char", test, 0, 0),)


def _split(first: int, second: int) -> _Code:
    return (("split", None, first, second),)


def _jump(by: int) -> _Code:
    return _split(by, by)


def _either(left: _Code, right: _Code) -> _Code:
    return _split(1, len(left) + 2) + left + _jump(len(right) + 1) + right


def _maybe(code: _Code, lazy: bool) -> _Code:
    skip = len(code) + 1
    return (_split(skip, 1) if lazy else _split(1, skip)) + code


def _star(code: _Code, lazy: bool) -> _Code:
    skip = len(code) + 2
    return (_split(skip, 1) if lazy else _split(1, skip)) + code + _jump(-len(code) - 1)


def _plus(code: _Code, lazy: bool) -> _Code:
    return code + (_split(1, -len(code)) if lazy else _split(-len(code), 1))


# --- characters


def _is_word(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char == "_")


_PERL: Final[dict[str, Test]] = {
    "d": lambda char: "0" <= char <= "9",
    "w": _is_word,
    "s": lambda char: char in "\t\n\f\r ",
}
_POSIX: Final[dict[str, Test]] = {
    "alnum": lambda char: char.isascii() and char.isalnum(),
    "alpha": lambda char: char.isascii() and char.isalpha(),
    "ascii": lambda char: char.isascii(),
    "blank": lambda char: char in "\t ",
    "cntrl": lambda char: char < " " or char == "\x7f",
    "digit": lambda char: "0" <= char <= "9",
    "graph": lambda char: "!" <= char <= "~",
    "lower": lambda char: "a" <= char <= "z",
    "print": lambda char: " " <= char <= "~",
    "punct": lambda char: "!" <= char <= "~" and not char.isalnum(),
    "space": lambda char: char in "\t\n\v\f\r ",
    "upper": lambda char: "A" <= char <= "Z",
    "word": _is_word,
    "xdigit": lambda char: char in "0123456789abcdefABCDEF",
}
_ESCAPES: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _not(test: Test) -> Test:
    return lambda char: not test(char)


def _any_of(tests: list[Test]) -> Test:
    return lambda char: any(test(char) for test in tests)


def _between(low: str, high: str) -> Test:
    return lambda char: low <= char <= high


def _folded(test: Test) -> Test:
    return lambda char: test(char) or test(char.lower()) or test(char.upper())


def _category(name: str) -> Test:
    return lambda char: unicodedata.category(char).startswith(name)


_CATEGORIES: Final = frozenset("CLMNPSZ")


# --- the grammar


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

    def alternatives(self) -> _Code:
        flags = self.flags
        branches = [self.sequence()]
        while self.accept("|"):
            branches.append(self.sequence())
        self.flags = flags
        code = branches[-1]
        for branch in reversed(branches[:-1]):
            code = self.checked(_either(branch, code))
        return code

    def checked(self, code: _Code) -> _Code:
        if len(code) > MAX_PROGRAM:
            raise self.fail("expression too large")
        return code

    def sequence(self) -> _Code:
        code: _Code = ()
        while self.at < len(self.text) and not self.look("|") and not self.look(")"):
            code = self.checked(code + self.repeated())
        return code

    def repeated(self) -> _Code:
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

    def expand(self, code: _Code, least: int, most: int | None, lazy: bool) -> _Code:
        if len(code) * max(least, most or 0, 1) > MAX_PROGRAM:
            raise self.fail("invalid repeat count")
        if most is None:
            return code * (least - 1) + _plus(code, lazy) if least else _star(code, lazy)
        optional: _Code = ()
        for _ in range(most - least):
            optional = _maybe(code + optional, lazy)
        return code * least + optional

    def atom(self) -> tuple[_Code, bool]:
        """One piece, and whether it may be repeated."""
        char = self.take()
        match char:
            case "(":
                return self.group()
            case "[":
                return _char(self.char_class()), True
            case ".":
                return _char((lambda _: True) if "s" in self.flags else (lambda each: each != "\n")), True
            case "^":
                return (("assert", "^" if "m" in self.flags else "\\A", 0, 0),), True
            case "$":
                return (("assert", "$" if "m" in self.flags else "\\z", 0, 0),), True
            case "\\":
                return self.escape(), True
        return self.literal(char), True

    def literal(self, char: str) -> _Code:
        def same(each: str) -> bool:
            return each == char

        return _char(_folded(same) if "i" in self.flags else same)

    def group(self) -> tuple[_Code, bool]:
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
        if not name or not all(_is_word(char) for char in name):
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

    def escape(self) -> _Code:
        start = self.at - 1
        char = self.take()
        if char in "AzbB":
            return (("assert", f"\\{char}", 0, 0),)
        if char == "Q":
            end = self.text.find("\\E", self.at)
            quoted = self.text[self.at : end if end >= 0 else len(self.text)]
            self.at = end + 2 if end >= 0 else len(self.text)
            code: _Code = ()
            for each in quoted:
                code += self.literal(each)
            return code
        test = self.escaped_class(char)
        if test is not None:
            return _char(_folded(test) if "i" in self.flags else test)
        return self.literal(self.escaped_char(char, start))

    def escaped_class(self, char: str) -> Test | None:
        if char.lower() in _PERL:
            test = _PERL[char.lower()]
            return _not(test) if char.isupper() else test
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
        if not name or name[0] not in _CATEGORIES or len(name) > 2:
            raise self.fail("invalid character class range", f"\\{char}{{{name}}}")
        return _not(_category(name)) if negated else _category(name)

    def escaped_char(self, char: str, start: int) -> str:
        if char in _ESCAPES:
            return _ESCAPES[char]
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
        test = _any_of(tests)
        test = _folded(test) if "i" in self.flags else test
        return _not(test) if negated else test

    def posix(self) -> Test | None:
        end = self.text.find(":]", self.at)
        if end < 0:
            return None
        name = self.text[self.at + 2 : end]
        negated = name.startswith("^")
        if name.removeprefix("^") not in _POSIX:
            raise self.fail("invalid character class range", self.text[self.at : end + 2])
        self.at = end + 2
        test = _POSIX[name.removeprefix("^")]
        return _not(test) if negated else test

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
            return _between(low, low)
        self.at += 1
        high = self.take()
        if high == "\\":
            high = self.escaped_char(self.take(), start)
        if high < low:
            raise self.fail("invalid character class range", self.text[start : self.at])
        return _between(low, high)
