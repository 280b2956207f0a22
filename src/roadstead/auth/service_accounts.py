"""Service-account tokens: signed statements that whoever holds one acts as a ServiceAccount (kubernetes-api.md section 18.3).

A token is a JWT (RFC 7519) signed with RS256: header, claims and signature, each base64url, joined by dots. Claims are those of
kube-apiserver (k8s `pkg/serviceaccount/claims.go`), so that any program that reads them of a real cluster reads ours.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from roadstead.auth.files import write_private
from roadstead.expr import syntax
from roadstead.kinds.object import Json
from roadstead.kinds.times import SECOND

ISSUER: Final = "https://kubernetes.default.svc"
AUDIENCES: Final = (ISSUER,)
"""Whom tokens are for if nobody says otherwise: this API server."""

KEY_FILE: Final = "service-account.key"
KEY_BITS: Final = 2048
ALGORITHM: Final = "RS256"
LEEWAY_SECONDS: Final = 60
"""Clocks may differ by so much (go-jose's default): a token is good for as long after its end."""

WARN_SECONDS: Final = 3607
"""What server-made volumes ask for: programs that read their token once and never again keep working (KEP-1205)."""
EXTENDED_SECONDS: Final = 365 * 24 * 3600
"""How long such a token is good for; its status still says WARN_SECONDS, so that it is renewed in time."""

JWKS_PATH: Final = "/openid/v1/jwks"
CONFIGURATION_PATH: Final = "/.well-known/openid-configuration"


class TokenRefused(Exception):
    """A token of ours that does not hold; the text is the real server's."""


@dataclass(frozen=True, slots=True)
class Named:
    """An object that a token speaks of."""

    name: str
    uid: str

    @property
    def claim(self) -> Json:
        return {"name": self.name, "uid": self.uid} if self.uid else {"name": self.name}


@dataclass(frozen=True, slots=True)
class Binding:
    """What a token is bound to: it ends with it. A pod's node is only told; at most one of pod and secret is there."""

    pod: Named | None = None
    secret: Named | None = None
    node: Named | None = None


UNBOUND: Final = Binding()


def claims_of(
    namespace: str,
    account: Named,
    audiences: Sequence[str],
    now: int,
    seconds: int,
    bound: Binding = UNBOUND,
    warn_after_seconds: int = 0,
) -> Json:
    """The claims of a new token, good from `now` (nanoseconds since the epoch) for `seconds`."""
    begins = now // SECOND
    ours: Json = {"namespace": namespace, "serviceaccount": account.claim}
    for name, found in (("node", bound.node), ("pod", bound.pod), ("secret", bound.secret)):
        if found is not None:
            ours[name] = found.claim
    if warn_after_seconds:
        ours["warnafter"] = begins + warn_after_seconds
    return {
        "aud": list(audiences),
        "exp": begins + seconds,
        "iat": begins,
        "iss": ISSUER,
        "jti": str(uuid.uuid4()),
        "kubernetes.io": ours,
        "nbf": begins,
        "sub": username(namespace, account.name),
    }


def username(namespace: str, name: str) -> str:
    """The user that an account is."""
    return f"system:serviceaccount:{namespace}:{name}"


def split_username(name: str) -> tuple[str, str] | None:
    """Namespace and name of the account that a user is; None if it is none."""
    prefix = "system:serviceaccount:"
    namespace, colon, account = name.removeprefix(prefix).partition(":")
    if not name.startswith(prefix) or not colon or ":" in account:
        return None
    return None if syntax.dns_label(namespace) or syntax.dns_subdomain(account) else (namespace, account)


def groups(namespace: str) -> tuple[str, ...]:
    """The groups of an account, apart from system:authenticated."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


class Issuer:
    """Signs tokens and checks signatures. `path`: where the key is kept (mode 0600); None keeps it in memory only.

    The key is made when it is first needed: that takes about 100 ms. Signing takes about 1 ms, checking 0.1 ms.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        if self._path is None or not self._path.exists():
            made = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
            if self._path is not None:
                write_private(self._path, _pem(made))
            return made
        try:
            key = serialization.load_pem_private_key(self._path.read_bytes(), password=None)
        except (OSError, ValueError) as err:
            raise ValueError(_unusable(self._path, str(err))) from err
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError(_unusable(self._path, f"it holds a {type(key).__name__}, tokens are signed with RSA"))
        return key

    @cached_property
    def key_id(self) -> str:
        """Names the key without revealing it: the digest of its public half (k8s `keyIDFromPublicKey`)."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return _encode(hashlib.sha256(public).digest())

    def sign(self, claims: Json) -> str:
        """The token with these claims. ValueError if the key on the disk cannot be used."""
        head = _encode(orjson.dumps({"alg": ALGORITHM, "kid": self.key_id}))
        signed = f"{head}.{_encode(orjson.dumps(claims))}"
        return f"{signed}.{_encode(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def read(self, token: str) -> Json | None:
        """The claims of a token with our signature; None if it does not even claim to be ours. Raises TokenRefused.

        Whether it is good now, here and still, is not looked at.
        """
        parts = token.split(".")
        if len(parts) != 3:
            return None
        claims = _decoded(parts[1])
        if claims is None or claims.get("iss") != ISSUER:
            return None
        head = _decoded(parts[0])
        signature = _bytes(parts[2])
        if head is None or signature is None:
            return None
        if head.get("alg") != ALGORITHM:
            raise TokenRefused("go-jose/go-jose: unexpected signature algorithm")
        try:
            self._key.public_key().verify(
                signature, f"{parts[0]}.{parts[1]}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            raise TokenRefused("go-jose/go-jose: error in cryptographic primitive") from None
        return claims

    @cached_property
    def jwks(self) -> Json:
        """The public key as a JSON Web Key Set: what others check tokens with."""
        numbers = self._key.public_key().public_numbers()
        key = {
            "use": "sig",
            "kty": "RSA",
            "kid": self.key_id,
            "alg": ALGORITHM,
            "n": _encode(_big_endian(numbers.n)),
            "e": _encode(_big_endian(numbers.e)),
        }
        return {"keys": [key]}

    @staticmethod
    def configuration(address: str) -> Json:
        """The OpenID Connect discovery document of a server at `address` (https://...)."""
        return {
            "issuer": ISSUER,
            "jwks_uri": f"{address}{JWKS_PATH}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
        }


def check_times(claims: Mapping[str, object], now: int) -> None:
    """Refuse claims that are not good at `now` (nanoseconds). Raises TokenRefused."""
    seconds = now // SECOND
    ends, begins, issued = (_number(claims.get(name)) for name in ("exp", "nbf", "iat"))
    if begins is not None and seconds + LEEWAY_SECONDS < begins:
        raise TokenRefused("service account token is not valid yet")
    if ends is None or seconds - LEEWAY_SECONDS > ends:  # a token without an end is none of ours
        raise TokenRefused("service account token has expired")
    if issued is not None and seconds + LEEWAY_SECONDS < issued:
        raise TokenRefused("service account token is issued in the future")


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _unusable(path: Path, why: str) -> str:
    return (
        f"The key of service-account tokens in {path} cannot be used ({why}). Restore it from a backup, or remove it: a new key is "
        "made, and every token given out so far stops working."
    )


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None


def _decoded(part: str) -> Json | None:
    raw = _bytes(part)
    try:
        value = None if raw is None else orjson.loads(raw)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _big_endian(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
