"""The cluster's own certificate authority: it signs the API server's and the node agents' serving certificates, and client
certificates whose common name is the user and whose organizations are the groups (as kube-apiserver reads them)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from roadstead.auth.files import write_private

AUTHORITY_LIFETIME: Final = timedelta(days=3650)
CERTIFICATE_LIFETIME: Final = timedelta(days=365)
CLOCK_SKEW: Final = timedelta(hours=1)

LOCAL_NAMES: Final = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
LOCAL_ADDRESSES: Final = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes

    def save(self, certificate_path: Path, key_path: Path) -> None:
        """Write both, mode 0600."""
        write_private(key_path, self.key)
        write_private(certificate_path, self.certificate)


class Authority:
    """The certificate authority of one cluster."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, path: Path) -> None:
        self._certificate = certificate
        self._key = key
        self.path = path
        """The authority's own certificate, for clients to trust."""

    @classmethod
    def load_or_create(cls, directory: Path) -> Authority:
        """The authority kept in `directory` (ca.crt, ca.key); made there if it does not exist yet.

        Raises ValueError if the files are there and cannot be used.
        """
        certificate_path, key_path = directory / "ca.crt", directory / "ca.key"
        if not key_path.exists():
            _new_authority().save(certificate_path, key_path)
        try:
            certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
            key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        except (OSError, ValueError) as err:
            raise ValueError(
                f"The certificate authority in {directory} cannot be read ({err}). Restore ca.crt and ca.key from a backup, or "
                "remove both: a new authority is made, and every kubeconfig and node certificate must be made anew."
            ) from err
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_path} holds a {type(key).__name__}; an elliptic-curve key was written there once.")
        return cls(certificate, key, certificate_path)

    @property
    def certificate(self) -> bytes:
        """The authority's own certificate, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue_server(
        self, common_name: str, names: Sequence[str] = LOCAL_NAMES, addresses: Sequence[str] = LOCAL_ADDRESSES
    ) -> KeyPair:
        """A serving certificate for these host names and addresses."""
        alternatives = x509.SubjectAlternativeName(
            [
                *(x509.DNSName(name) for name in names),
                *(x509.IPAddress(ipaddress.ip_address(text)) for text in addresses),
            ]
        )
        return self._issue(common_name, (), ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def issue_client(
        self, user: str, groups: Sequence[str] = (), lifetime: timedelta = CERTIFICATE_LIFETIME
    ) -> KeyPair:
        """A client certificate that authenticates as `user` in `groups`, until `lifetime` has passed or the authority's own ends."""
        return self._issue(user, groups, ExtendedKeyUsageOID.CLIENT_AUTH, None, lifetime)

    def _issue(
        self,
        common_name: str,
        organizations: Sequence[str],
        usage: x509.ObjectIdentifier,
        alternatives: x509.SubjectAlternativeName | None,
        lifetime: timedelta = CERTIFICATE_LIFETIME,
    ) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations),
            ]
        )
        until = min(now + lifetime, self._certificate.not_valid_after_utc)
        builder = (
            _begun(subject, self._certificate.subject, key, now, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        return KeyPair(
            builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), _private_pem(key)
        )


def _new_authority() -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"roadstead-ca@{socket.gethostname()}"[:64])])
    certificate = (
        _begun(name, name, key, now, now + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), _private_pem(key))


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    """What every certificate says."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(until)
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
