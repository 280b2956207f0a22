"""Service-account tokens: what is signed, what is believed, and until when."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from roadstead.auth import service_accounts
from roadstead.auth.account_tokens import AccountTokens
from roadstead.auth.authenticator import Authenticator
from roadstead.auth.certificates import Authority
from roadstead.auth.identity import AUTHENTICATED, Connection
from roadstead.auth.service_accounts import AUDIENCES, Binding, Issuer, Named, TokenRefused, claims_of
from roadstead.auth.tokens import Tokens
from roadstead.kinds.names import NODES, PODS, SECRETS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json, ObjectMeta, Resource
from roadstead.kinds.times import SECOND, format_time

NOW = 1_800_000_000 * SECOND
MINUTE = 60 * SECOND
ISSUER = Issuer()
ROBOT = Named("robot", "u-robot")
Key = tuple[Resource, str, str]
Stored = dict[Key, ObjectMeta]
Changes = dict[Key, ObjectMeta | None]
"""None: not stored any more."""

EVERYTHING: Stored = {
    (SERVICE_ACCOUNTS, "team", "robot"): ObjectMeta(uid="u-robot"),
    (PODS, "team", "p"): ObjectMeta(uid="u-pod"),
    (SECRETS, "team", "s"): ObjectMeta(uid="u-secret"),
    (NODES, "", "n1"): ObjectMeta(uid="u-node"),
}


def tokens(stored: Stored = EVERYTHING, now: int = NOW) -> AccountTokens:
    return AccountTokens(ISSUER, lambda *key: stored.get(key), lambda: now)


def signed(**more: Any) -> str:
    given: Json = {"audiences": AUDIENCES, "now": NOW, "seconds": 3600, **more}
    return ISSUER.sign(claims_of("team", ROBOT, **given))


def changed(token: str, **claims: Any) -> str:
    """The token with other claims and the old signature."""
    head, body, signature = token.split(".")
    value = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(value | claims).encode()).rstrip(b'=').decode()}.{signature}"


def test_a_token_speaks_for_its_account() -> None:
    proven = tokens().prove(signed(bound=Binding(pod=Named("p", "u-pod"), node=Named("n1", "u-node"))))
    assert proven is not None
    who = proven.identity
    assert (who.name, who.uid) == ("system:serviceaccount:team:robot", "u-robot")
    assert who.groups == ("system:serviceaccounts", "system:serviceaccounts:team", AUTHENTICATED)
    prefix = "authentication.kubernetes.io"
    assert dict(who.extra) == {
        f"{prefix}/credential-id": (who.extra[f"{prefix}/credential-id"][0],),
        f"{prefix}/node-name": ("n1",),
        f"{prefix}/node-uid": ("u-node",),
        f"{prefix}/pod-name": ("p",),
        f"{prefix}/pod-uid": ("u-pod",),
    }
    assert who.extra[f"{prefix}/credential-id"][0].startswith("JTI=")
    assert proven.audiences == list(AUDIENCES)


TIMES = [
    ("at once", 0, None),
    ("a clock behind", -59 * SECOND, None),
    ("a clock far behind", -2 * MINUTE, "service account token is not valid yet"),
    ("at its end", 3600 * SECOND, None),
    ("a clock before", 3600 * SECOND + 59 * SECOND, None),
    ("past its end", 3600 * SECOND + 2 * MINUTE, "service account token has expired"),
]


@pytest.mark.parametrize(("later", "why"), [row[1:] for row in TIMES], ids=[row[0] for row in TIMES])
def test_a_token_has_its_time(later: int, why: str | None) -> None:
    judge = tokens(now=NOW + later)
    if why is None:
        assert judge.prove(signed()) is not None
    else:
        with pytest.raises(TokenRefused, match=why):
            judge.prove(signed())


def gone(minutes_ago: int) -> ObjectMeta:
    return ObjectMeta(uid="u-pod", deletion_timestamp=format_time(NOW - minutes_ago * MINUTE))


ENDINGS: list[tuple[str, Binding, Changes, str]] = [
    (
        "the account is gone",
        Binding(),
        {(SERVICE_ACCOUNTS, "team", "robot"): None},
        'serviceaccounts "robot" not found',
    ),
    (
        "another account of that name",
        Binding(),
        {(SERVICE_ACCOUNTS, "team", "robot"): ObjectMeta(uid="u-2")},
        r"service account UID \(u-2\) does not match claim \(u-robot\)",
    ),
    ("the pod is gone", Binding(pod=Named("p", "u-pod")), {(PODS, "team", "p"): None}, "has been invalidated"),
    (
        "another pod of that name",
        Binding(pod=Named("p", "u-pod")),
        {(PODS, "team", "p"): ObjectMeta(uid="u-2")},
        r"pod UID \(u-2\) does not match service account pod ref claim \(u-pod\)",
    ),
    (
        "the pod's grace is over",
        Binding(pod=Named("p", "u-pod")),
        {(PODS, "team", "p"): gone(2)},
        "has been invalidated",
    ),
    (
        "the secret is gone",
        Binding(secret=Named("s", "u-secret")),
        {(SECRETS, "team", "s"): None},
        "has been invalidated",
    ),
    ("the node is gone", Binding(node=Named("n1", "u-node")), {(NODES, "", "n1"): None}, "has been invalidated"),
]


@pytest.mark.parametrize(("bound", "other", "why"), [row[1:] for row in ENDINGS], ids=[row[0] for row in ENDINGS])
def test_a_token_ends_with_what_it_is_bound_to(bound: Binding, other: Changes, why: str) -> None:
    token = signed(bound=bound)
    assert tokens().prove(token) is not None
    everything: Changes = {**EVERYTHING, **other}
    stored = {key: meta for key, meta in everything.items() if meta is not None}
    with pytest.raises(TokenRefused, match=why):
        tokens(stored).prove(token)


def test_a_pod_that_ends_may_use_its_token_until_its_grace_is_over_and_needs_no_node() -> None:
    token = signed(bound=Binding(pod=Named("p", "u-pod"), node=Named("n1", "u-node")))
    stored = EVERYTHING | {(PODS, "team", "p"): gone(-1)}
    del stored[NODES, "", "n1"]
    assert tokens(stored).prove(token) is not None


def test_a_token_is_good_for_its_audiences_only() -> None:
    token = signed(audiences=["vault", "db"])
    with pytest.raises(TokenRefused) as caught:
        tokens().prove(token)
    assert str(caught.value) == (
        'token audiences ["vault" "db"] is invalid for the target audiences ["https://kubernetes.default.svc"]'
    )
    proven = tokens().prove(token, ["vault", "other"])
    assert proven is not None
    assert proven.audiences == ["vault"]


def test_nobody_else_can_make_or_change_a_token() -> None:
    token = signed()
    for forged in (
        changed(token, sub="system:serviceaccount:kube-system:root"),
        Issuer().sign(claims_of("team", ROBOT, AUDIENCES, NOW, 3600)),
    ):
        with pytest.raises(TokenRefused, match="cryptographic primitive"):
            tokens().prove(forged)
    _, body, signature = token.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    with pytest.raises(TokenRefused, match="unexpected signature algorithm"):
        tokens().prove(f"{unsigned}.{body}.{signature}")


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "..", "ä.ö.ü", "e30.e30.e30", "e30.W10.e30"])
def test_what_does_not_claim_to_be_ours_is_left_to_others(text: str) -> None:
    assert tokens().prove(text) is None


def test_tokens_of_another_issuer_are_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    token = signed()
    monkeypatch.setattr(service_accounts, "ISSUER", "https://elsewhere")
    assert tokens().prove(token) is None


def test_the_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "service-account.key"
    token = Issuer(path).sign({"iss": service_accounts.ISSUER})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Issuer(path).read(token) == {"iss": service_accounts.ISSUER}


@pytest.mark.parametrize("content", ["", "not a key", "elliptic"])
def test_a_key_that_cannot_be_used_says_what_to_do(tmp_path: Path, content: str) -> None:
    path = tmp_path / "service-account.key"
    path.write_text(content)
    if content == "elliptic":
        Authority.load_or_create(tmp_path)
        path.write_bytes((tmp_path / "ca.key").read_bytes())
    with pytest.raises(ValueError, match="Restore it from a backup, or remove it"):
        Issuer(path).sign({})


def test_others_can_check_tokens_with_the_published_key() -> None:
    def number(text: str) -> int:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")

    (key,) = ISSUER.jwks["keys"]
    head, body, signature = signed().split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "=="))["kid"] == key["kid"]
    public = rsa.RSAPublicNumbers(number(key["e"]), number(key["n"])).public_key()
    public.verify(base64.urlsafe_b64decode(signature + "=="), f"{head}.{body}".encode(), padding.PKCS1v15(), SHA256())


def test_the_authenticator_takes_both_kinds_of_bearer_tokens() -> None:
    judge = Authenticator(Tokens([["t-alice", "alice", "1", "team"]]), owner_uid=7, accounts=tokens())
    found = judge.identify(f"Bearer {signed()}", Connection())
    assert found is not None
    assert found.name == "system:serviceaccount:team:robot"
    assert judge.identify(f"Bearer {signed(audiences=['vault'])}", Connection()) is None
    assert judge.prove("t-alice").identity.name == "alice"
    for token, audiences in (("t-alice", ["vault"]), ("nobody's", [])):
        with pytest.raises(TokenRefused, match=r"^invalid bearer token$"):
            judge.prove(token, audiences)
    with pytest.raises(TokenRefused, match=r"^\[invalid bearer token, token audiences "):
        judge.prove(signed(audiences=["vault"]))
