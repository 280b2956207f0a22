"""Sets of field paths, and how managedFields writes them (FieldsV1, kubernetes-api section 11.1).

An element of a path is its text in FieldsV1, which makes equal elements equal strings: `f:spec`, `k:{"name":"web"}`,
`v:"a.example/b"`, `i:0`. A set is a tree of them; a node says which elements below it are members and which have
members below. The whole object is never a member. Sets that an operation gives may share nodes with its operands:
nobody edits what was handed out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from roadstead.kinds.errors import go_quote
from roadstead.kinds.object import Json

Path = tuple[str, ...]

SELF: Final = "."
_HTML: Final = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))


class NotFields(ValueError):
    """FieldsV1 that cannot be read; the message is worded as the real server's."""


def field(name: str) -> str:
    """The element that is a field of a struct, or the key of a map."""
    return f"f:{name}"


def key(values: Mapping[str, Any]) -> str:
    """The element that is the item of a list with these values of its key fields."""
    if len(values) == 1:
        return "k:" + _text(dict(values))
    return "k:" + _text({name: values[name] for name in sorted(values)})


def value(scalar: Any) -> str:
    """The element that is an item of a set."""
    return "v:" + _text(scalar)


def _plain(found: Any) -> Any:
    """1.0 and 1 are the same item, written as Go writes it."""
    if isinstance(found, float) and found.is_integer() and abs(found) < 1e21:
        return int(found)
    if isinstance(found, dict):
        return {name: _plain(inner) for name, inner in found.items()}
    return found


def _text(found: Any) -> str:
    text = orjson.dumps(_plain(found)).decode()
    for character, escape in _HTML:
        if character in text:
            text = text.replace(character, escape)
    return text


def shown(path: Path) -> str:
    """A path as errors print it: `.spec.containers[name="web"].image`, `.metadata.finalizers[="a/b"]`."""
    return "".join(_shown(element) for element in path)


def _shown(element: str) -> str:
    sort, content = element[0], element[2:]
    if sort == "f":
        return "." + content
    if sort == "i":
        return f"[{content}]"
    found = orjson.loads(content)
    if sort == "v":
        return f"[={_scalar(found)}]"
    return "[" + ",".join(f"{name}={_scalar(inner)}" for name, inner in found.items()) + "]"


def _scalar(found: Any) -> str:
    if found is None:
        return "null"
    if isinstance(found, bool):
        return "true" if found else "false"
    return go_quote(found) if isinstance(found, str) else str(found)


def order(element: str) -> tuple[Any, ...]:
    """Sorts elements as the real server does: fields, keys, values, indexes."""
    sort, content = element[0], element[2:]
    if sort == "f":
        return (0, content)
    if sort == "k":
        return (1, [(name, _rank(inner)) for name, inner in orjson.loads(content).items()])
    if sort == "v":
        return (2, _rank(orjson.loads(content)))
    return (3, int(content))


def _rank(found: Any) -> tuple[int, Any]:
    if isinstance(found, bool):
        return (2, found)
    if isinstance(found, int | float):
        return (0, found)
    return (1, found) if isinstance(found, str) else (3, orjson.dumps(found))


class Set:
    """Paths. Operations give new sets; `insert` edits, for whoever has just made one."""

    __slots__ = ("children", "members")

    def __init__(self, members: set[str] | None = None, children: dict[str, Set] | None = None) -> None:
        """`children` must not hold empty sets."""
        self.members: set[str] = set() if members is None else members
        self.children: dict[str, Set] = {} if children is None else children

    @classmethod
    def of(cls, *paths: Path) -> Set:
        made = cls()
        for path in paths:
            made.insert(path)
        return made

    def insert(self, path: Path) -> None:
        """Add a path, in place. The empty one (the whole object) is never a member."""
        if not path:
            return
        node = self
        for element in path[:-1]:
            below = node.children.get(element)
            if below is None:
                below = node.children[element] = Set()
            node = below
        node.members.add(path[-1])

    def __bool__(self) -> bool:
        return bool(self.members) or bool(self.children)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Set) and self.members == other.members and self.children == other.children

    __hash__ = None  # type: ignore[assignment]  # a set is edited while it is made

    def __contains__(self, path: Path) -> bool:
        if not path:
            return False
        node = self
        for element in path[:-1]:
            below = node.children.get(element)
            if below is None:
                return False
            node = below
        return path[-1] in node.members

    def below(self, element: str) -> Set:
        """What is in the set below one element."""
        return self.children.get(element) or _EMPTY

    def union(self, other: Set) -> Set:
        if not other:
            return self
        if not self:
            return other
        children = dict(self.children)
        for element, inner in other.children.items():
            mine = children.get(element)
            children[element] = inner if mine is None else mine.union(inner)
        return Set(self.members | other.members, children)

    def intersection(self, other: Set) -> Set:
        children = {}
        for element, inner in self.children.items():
            theirs = other.children.get(element)
            if theirs is not None:
                both = inner.intersection(theirs)
                if both:
                    children[element] = both
        return Set(self.members & other.members, children)

    def difference(self, other: Set) -> Set:
        """Without the members of `other`; what lies below a member of it stays."""
        if not other:
            return self
        children = {}
        for element, inner in self.children.items():
            theirs = other.children.get(element)
            left = inner if theirs is None else inner.difference(theirs)
            if left:
                children[element] = left
        return Set(self.members - other.members, children)

    def outside(self, other: Set) -> Set:
        """Without the members of `other` and all that lies below them."""
        if not other:
            return self
        children = {}
        for element, inner in self.children.items():
            if element in other.members:
                continue
            theirs = other.children.get(element)
            left = inner if theirs is None else inner.outside(theirs)
            if left:
                children[element] = left
        return Set(self.members - other.members, children)

    def __iter__(self) -> Iterator[Path]:
        """All paths in the real server's order: the members of a node, then what lies below."""
        return self._walk(())

    def _walk(self, prefix: Path) -> Iterator[Path]:
        for element in sorted(self.members, key=order):
            yield (*prefix, element)
        for element in sorted(self.children, key=order):
            yield from self.children[element]._walk((*prefix, element))

    def __repr__(self) -> str:
        return "Set(" + ", ".join(shown(path) for path in self) + ")"


_EMPTY: Final = Set()


def encode(paths: Set) -> Json:
    """FieldsV1: elements in order, `.` where an element with others below it is a member itself. O(paths)."""
    children = paths.children
    if not children:
        return {element: {} for element in sorted(paths.members)}
    made: Json = {}
    for element in sorted(paths.members | children.keys()):
        below = children.get(element)
        if below is None:
            made[element] = {}
        elif element in paths.members:
            made[element] = {SELF: {}, **encode(below)}
        else:
            made[element] = encode(below)
    return made


def decode(fields: Any) -> Set:
    """The set that FieldsV1 writes. Raises NotFields."""
    if not isinstance(fields, dict):
        raise NotFields(f"fieldsV1 must be an object, not {type(fields).__name__}")
    made = Set()
    for text, inner in fields.items():
        if text == SELF:
            continue  # said of the element above
        element = _element(text)
        if not isinstance(inner, dict):
            raise NotFields(f"below {text} there must be an object, not {type(inner).__name__}")
        if not inner or SELF in inner:
            made.members.add(element)
        if inner:
            below = decode(inner)
            if below:
                made.children[element] = below
    return made


def _element(text: str) -> str:
    if len(text) < 2:
        raise NotFields("key must be 2 characters long:")
    if text[1] != ":":
        raise NotFields(f"missing colon: {text}")
    if text[0] == "f":
        return text
    content = text[2:]
    try:
        if text[0] == "k":
            found = orjson.loads(content)
            if isinstance(found, dict):
                return key(found)
        elif text[0] == "v":
            return value(orjson.loads(content))
        elif text[0] == "i":
            return f"i:{int(content)}"
    except ValueError as error:
        raise NotFields(f"{text}: {error}") from error
    raise NotFields("unknown path element type")
