"""Who is believed to be whom."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from roadstead.auth.authenticator import Authenticator
from roadstead.auth.certificates import Authority
from roadstead.auth.files import write_private
from roadstead.auth.identity import ANONYMOUS, AUTHENTICATED, MASTERS, Connection, Identity, certificate_identity
from roadstead.auth.tokens import Tokens

ALICE = Identity("alice", ("team", AUTHENTICATED), "1")
TOKENS = Tokens([["t-alice", "alice", "1", "team"], ["t-bob", "bob", "2"]])
BY_CERTIFICATE = Identity("system:node:n1", ("system:nodes", AUTHENTICATED))


@pytest.mark.parametrize(
    ("authorization", "connection", "who"),
    [
        ("Bearer t-alice", Connection(), "alice"),
        ("bearer t-alice", Connection(), "alice"),
        ("Bearer  t-bob ", Connection(), "bob"),
        ("Bearer wrong", Connection(), None),
        ("Bearer ", Connection(), None),
        ("Bearer wrong", Connection(certificate=BY_CERTIFICATE), None),
        ("Bearer wrong", Connection(peer_uid=7), None),
        ("Basic YTpi", Connection(), ANONYMOUS.name),
        ("Bogus x", Connection(), ANONYMOUS.name),
        ("", Connection(), ANONYMOUS.name),
        (None, Connection(), ANONYMOUS.name),
        (None, Connection(certificate=BY_CERTIFICATE), "system:node:n1"),
        (None, Connection(peer_uid=8), None),
    ],
)
def test_proofs(authorization: str | None, connection: Connection, who: str | None) -> None:
    found = Authenticator(TOKENS, owner_uid=7).identify(authorization, connection)
    assert (found.name if found else None) == who


@pytest.mark.parametrize("uid", [0, 7])
def test_root_and_the_owner_of_the_server_rule_over_the_socket(uid: int) -> None:
    found = Authenticator(TOKENS, owner_uid=7).identify(None, Connection(peer_uid=uid))
    assert found is not None
    assert MASTERS in found.groups


def test_tokens_carry_groups() -> None:
    assert TOKENS.find("t-alice") == ALICE
    assert TOKENS.find("t-bob") == Identity("bob", (AUTHENTICATED,), "2")
    assert TOKENS.find("") is None


@pytest.mark.parametrize(
    ("rows", "token"),
    [
        (
            [["a", "alice", "1", "team"], ["b", "bob", "2", "system:masters"], ["c", "carol", "3", "system:masters"]],
            "b",
        ),
        ([["b", "bob", "2", "system:masters"], ["x", "admin", "3"]], "x"),
        ([["a", "alice", "1", "team"]], None),
    ],
)
def test_whose_token_is_an_administrators(rows: list[list[str]], token: str | None) -> None:
    assert Tokens(rows).administrator == token


def test_a_tokens_file_is_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "tokens.csv"
    token = Tokens.load_or_create(path).administrator
    assert token is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Tokens.load_or_create(path)
    assert again.administrator == token
    found = again.find(token)
    assert found is not None
    assert found.groups == (MASTERS, AUTHENTICATED)


def test_a_broken_tokens_file_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text('# people\nt1,alice,1,"a,b"\nnonsense\n')
    with pytest.raises(ValueError, match=r"Line 3 of .*tokens.csv has 1 fields; a token line reads"):
        Tokens.load_or_create(path)


def test_private_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secret"
    write_private(path, b"one")
    write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["secret"]


def test_an_authority_is_kept_and_signs(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path / "pki")
    assert Authority.load_or_create(tmp_path / "pki").certificate == authority.certificate
    assert stat.S_IMODE((tmp_path / "pki" / "ca.key").stat().st_mode) == 0o600
    root = x509.load_pem_x509_certificate(authority.certificate)
    server = x509.load_pem_x509_certificate(
        authority.issue_server("api", ["localhost", "n1"], ["127.0.0.1"]).certificate
    )
    server.verify_directly_issued_by(root)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "n1"]
    client = x509.load_pem_x509_certificate(authority.issue_client("alice", ["a", "b"]).certificate)
    client.verify_directly_issued_by(root)
    usage = client.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert [name.value for name in client.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["a", "b"]


def test_an_authority_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    Authority.load_or_create(tmp_path)
    (tmp_path / "ca.key").write_bytes(b"rubbish")
    with pytest.raises(ValueError, match=r"Restore ca\.crt and ca\.key from a backup"):
        Authority.load_or_create(tmp_path)


def test_subjects_name_users_and_groups() -> None:
    subject = ((("commonName", "alice"),), (("organizationName", "a"),), (("organizationName", "b"),))
    assert certificate_identity(subject) == Identity("alice", ("a", "b", AUTHENTICATED))
    assert certificate_identity(((("organizationName", "a"),),)) is None
