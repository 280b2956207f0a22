"""Programs and the machine that runs them on all alternatives at once (Pike's)."""

from __future__ import annotations

from dataclasses import dataclass

from roadstead.expr.re2.characters import Test, is_word


@dataclass(slots=True)
class Char:
    test: Test


@dataclass(slots=True)
class Split:
    """Go on at both places, the first preferred."""

    first: int
    second: int


@dataclass(slots=True)
class Assert:
    kind: str


class Match:
    __slots__ = ()


Instruction = Char | Split | Assert | Match


class Pattern:
    """A compiled pattern."""

    def __init__(self, program: list[Instruction]) -> None:
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
                if isinstance(instruction, Match):
                    found = (begin, at)
                    break  # what comes after is preferred less
                if at < len(text) and isinstance(instruction, Char) and instruction.test(text[at]):
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
            if isinstance(instruction, Split):
                pending.append(instruction.second)
                pending.append(instruction.first)
            elif isinstance(instruction, Assert):
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
    before = at > 0 and is_word(text[at - 1])
    after = at < len(text) and is_word(text[at])
    return (before != after) == (kind == "\\b")


# --- fragments: programs whose jumps are relative

Code = tuple[tuple[str, object, int, int], ...]
"""(kind, argument, first jump, second jump); jumps count from the instruction itself."""


def linked(code: Code) -> list[Instruction]:
    found: list[Instruction] = []
    for at, (kind, argument, first, second) in enumerate(code):
        if kind == "split":
            found.append(Split(at + first, at + second))
        elif kind == "assert":
            found.append(Assert(str(argument)))
        else:
            assert callable(argument)
            found.append(Char(argument))
    return found


def one_char(test: Test) -> Code:
    return (("char", test, 0, 0),)


def fork(first: int, second: int) -> Code:
    return (("split", None, first, second),)


def jump(by: int) -> Code:
    return fork(by, by)


def either(left: Code, right: Code) -> Code:
    return fork(1, len(left) + 2) + left + jump(len(right) + 1) + right


def maybe(code: Code, lazy: bool) -> Code:
    skip = len(code) + 1
    return (fork(skip, 1) if lazy else fork(1, skip)) + code


def star(code: Code, lazy: bool) -> Code:
    skip = len(code) + 2
    return (fork(skip, 1) if lazy else fork(1, skip)) + code + jump(-len(code) - 1)


def plus(code: Code, lazy: bool) -> Code:
    return code + (fork(1, -len(code)) if lazy else fork(-len(code), 1))
