"""Asking as somebody else: `kubectl --as` (k8s `apiserver/pkg/endpoints/filters/impersonation`; KEP-5284).

Five ways are tried, from the narrowest: a service account as the node that its pod is on, as any node, as a service account, as
another user, each with leave for what is asked (`impersonate-on:MODE:VERB`) and for whom (`impersonate:MODE`); and the old way,
verb `impersonate`. The first complaint is what a client hears if none will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote

from roadstead.auth.attributes import Attributes, Decision, refusal
from roadstead.auth.identity import ANONYMOUS, AUTHENTICATED, MASTERS, UNAUTHENTICATED, Identity
from roadstead.auth.service_accounts import groups, split_username
from roadstead.expr import syntax
from roadstead.kinds.errors import StatusError, bad_request, go_quote

NODES: Final = "system:nodes"
NODE_PREFIX: Final = "system:node:"
NODE_EXTRA: Final = "authentication.kubernetes.io/node-name"

REMEMBERED: Final = 10_000

_PREFIX: Final = b"impersonate-"
_EXTRA: Final = b"impersonate-extra-"

Decide = Callable[[Identity, Attributes], Decision]


@dataclass(frozen=True, slots=True)
class _Mode:
    """`name` "" is the old way."""

    name: str
    fits: Callable[[Identity, Identity], bool]

    @property
    def verb(self) -> str:
        return f"impersonate:{self.name}" if self.name else "impersonate"


def wanted(headers: Iterable[tuple[bytes, bytes]]) -> Identity | None:
    """Whom these headers ask for, exactly as they say; None: nobody. Raises StatusError 400. Names are lower case."""
    name, uid = "", ""
    members: list[str] = []
    extra: dict[str, list[str]] = {}
    for header, raw in headers:
        if not header.startswith(_PREFIX):
            continue
        value = raw.decode("utf-8", "replace")
        if header == b"impersonate-user":
            name = name or value
        elif header == b"impersonate-uid":
            uid = uid or value
        elif header == b"impersonate-group":
            members.append(value)
        elif header.startswith(_EXTRA):
            extra.setdefault(unquote(header[len(_EXTRA) :].decode("latin-1")), []).append(value)
    if name:
        return Identity(name, tuple(members), uid, {key: tuple(values) for key, values in sorted(extra.items())})
    if uid or members or extra:
        raise bad_request(f"requested {_in_go(uid, members, extra)} without impersonating a user name")
    return None


class Impersonation:
    """Who may ask as whom. What one has done last is tried first, so that the usual way stays the cheapest."""

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self._last: dict[str, int] = {}

    def become(self, who: Identity, whom: Identity, asked: Attributes) -> Identity:
        """Who `who` is from now on, if they may ask that as `whom`. Raises StatusError 403."""
        order = list(range(len(_MODES)))
        last = self._last.get(who.name)
        if last is not None:
            order.remove(last)
            order.insert(0, last)
        first: StatusError | None = None
        for index in order:
            mode = _MODES[index]
            if not mode.fits(whom, who):
                continue
            try:
                if mode.name:
                    on = asked._replace(verb=f"impersonate-on:{mode.name}:{asked.verb}")
                    _must(self._decide, _asking(who, mode), on)
                became = _complete(_checked(who, whom, mode, self._decide))
            except StatusError as error:
                first = first or error
                continue
            if len(self._last) >= REMEMBERED:
                self._last.clear()
            self._last[who.name] = index
            return became
        assert first is not None  # the old way fits everybody
        raise first


def _checked(who: Identity, whom: Identity, mode: _Mode, decide: Decide) -> Identity:
    """`whom` with the groups that belong to it, if each part of it may be taken on."""
    asking = _asking(who, mode)
    for question in _questions(whom, mode):
        _must(decide, asking, question)
    node = _node_of(whom.name)
    if mode.name and node:
        return replace(whom, groups=(NODES,))
    account = split_username(whom.name)
    if account is not None and not whom.groups:
        return replace(whom, groups=groups(account[0]))
    return whom


def _questions(whom: Identity, mode: _Mode) -> Iterator[Attributes]:
    verb = mode.verb
    group = "authentication.k8s.io"
    people = group if mode.name else ""
    account, node = split_username(whom.name), _node_of(whom.name)
    if account is not None:
        yield Attributes(verb, people, "serviceaccounts", namespace=account[0], name=account[1])
    elif mode.name and node:
        name = "*" if mode.name == "associated-node" else node
        yield Attributes(verb, people, "nodes", name=name)
    else:
        yield Attributes(verb, people, "users", name=whom.name)
    if whom.uid:
        yield Attributes(verb, group, "uids", name=whom.uid)
    yield from (Attributes(verb, people, "groups", name=name) for name in whom.groups)
    for key, values in whom.extra.items():
        yield from (Attributes(verb, group, "userextras", key, name=value) for value in values)


def _must(decide: Decide, who: Identity, question: Attributes) -> None:
    """Raises StatusError 403 if it may not be."""
    is_new = question.verb.startswith("impersonate:")
    if is_new and question.resource == "groups":
        if not question.name:
            raise refusal(who, question, "impersonating the empty string group is not allowed")
        if question.name == MASTERS:
            raise refusal(who, question, f"impersonating the {MASTERS} group is not allowed")
    if is_new and question.resource == "userextras":
        problem = _extra_problem(question)
        if problem:
            raise refusal(who, question._replace(subresource="", name=""), problem)
    decision = decide(who, question)
    if not decision.is_allowed:
        raise refusal(who, question, decision.reason)


def _extra_problem(question: Attributes) -> str:
    key = question.subresource
    if not key:
        return "impersonating the empty string key in extra is not allowed"
    domain, slash, path = key.partition("/")
    problems = (
        syntax.dns_subdomain(domain) if slash and path else ('must be a domain-prefixed path (such as "acme.io/foo")',)
    )
    if problems:
        return f"impersonating an invalid key in extra is not allowed: extra.key: Invalid value: {go_quote(key)}: {problems[0]}"
    if key != key.lower():
        return f"impersonating a non-lowercase key in extra is not allowed: {go_quote(key)}"
    return "" if question.name else "impersonating the empty string value in extra is not allowed"


def _complete(whom: Identity) -> Identity:
    """With the group that says whether they are known at all."""
    if whom.name == ANONYMOUS.name:
        also = UNAUTHENTICATED
    elif UNAUTHENTICATED in whom.groups:
        return whom
    else:
        also = AUTHENTICATED
    return whom if also in whom.groups else replace(whom, groups=(*whom.groups, also))


def _asking(who: Identity, mode: _Mode) -> Identity:
    """For its own node, an account is asked about without what is special to one pod."""
    if mode.name != "associated-node":
        return who
    return replace(who, extra={"authentication.kubernetes.io/associated-node-keys": tuple(sorted(who.extra))})


def _node_of(name: str) -> str:
    """The node that a user is; "" if it is none."""
    node = name.removeprefix(NODE_PREFIX)
    return "" if node == name or syntax.dns_subdomain(node) else node


def _is_only_a_name(whom: Identity) -> bool:
    return not (whom.uid or whom.groups or whom.extra)


def _is_on(who: Identity, name: str) -> bool:
    """Is `who` a service account, and its pod on the node that user `name` is?"""
    return split_username(who.name) is not None and list(who.extra.get(NODE_EXTRA, ())) == [_node_of(name)]


_MODES: Final = (
    _Mode(
        "associated-node",
        lambda whom, who: _is_only_a_name(whom) and bool(_node_of(whom.name)) and _is_on(who, whom.name),
    ),
    _Mode("arbitrary-node", lambda whom, _: _is_only_a_name(whom) and bool(_node_of(whom.name))),
    _Mode("serviceaccount", lambda whom, _: _is_only_a_name(whom) and split_username(whom.name) is not None),
    _Mode("user-info", lambda whom, _: not _node_of(whom.name) and split_username(whom.name) is None),
    _Mode("", lambda whom, _: True),
)


def _in_go(uid: str, members: Sequence[str], extra: Mapping[str, Sequence[str]]) -> str:
    """As Go prints the user with %#v."""
    listed = f"[]string{_list_in_go(members)}" if members else "[]string(nil)"
    pairs = ", ".join(f"{go_quote(key)}:[]string{_list_in_go(values)}" for key, values in sorted(extra.items()))
    more = f"map[string][]string{{{pairs}}}" if extra else "map[string][]string(nil)"
    return f'&user.DefaultInfo{{Name:"", UID:{go_quote(uid)}, Groups:{listed}, Extra:{more}}}'


def _list_in_go(values: Sequence[str]) -> str:
    return "{" + ", ".join(map(go_quote, values)) + "}"
