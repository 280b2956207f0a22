"""Connecting as a kubeconfig file says: server, authority, token or client certificate."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

from roadstead.cluster.remote.client import RemoteCluster


class KubeconfigError(Exception):
    """The file cannot be used; the message says why and what to do."""


def from_kubeconfig(
    path: Path,
    context: str = "",
    *,
    write_timeout_seconds: float | None = None,
    may_send: Callable[[], bool] | None = None,
) -> RemoteCluster:
    """The cluster that `context` ("": the file's current-context) names. Raises KubeconfigError."""
    cluster, user, user_name = _chosen(path, context)
    for unsupported in ("exec", "auth-provider", "username"):
        if user.get(unsupported):
            raise KubeconfigError(
                f'{path}: user "{user_name}" logs in by {unsupported}, which is not supported. '
                "Use a token, a token file or a client certificate."
            )
    if cluster.get("proxy-url"):
        raise KubeconfigError(
            f"{path}: the server is reached by proxy-url, which is not supported. Use a server that can be reached directly."
        )
    token_file = user.get("tokenFile")
    return RemoteCluster(
        str(cluster["server"]).rstrip("/"),
        token="" if token_file else str(user.get("token") or ""),
        token_file=_beside(path, token_file) if token_file else None,
        ssl_context=_ssl_context(cluster, user, path),
        server_name=str(cluster.get("tls-server-name") or ""),
        write_timeout_seconds=write_timeout_seconds,
        may_send=may_send,
    )


def authority_of(path: Path, context: str = "") -> bytes:
    """The certificates (PEM) that the file trusts a server by; empty if it leaves that to the system. Raises
    KubeconfigError."""
    return _pem(_chosen(path, context)[0], "certificate-authority", path)


def _chosen(path: Path, context: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Cluster, user and the user's name."""
    config = _load(path)
    name = context or str(config.get("current-context") or "")
    if not name:
        raise KubeconfigError(f"{path} has no current-context. Name one, or run: kubectl config use-context NAME")
    chosen = _named(config, "contexts", "context", name, path)
    cluster = _named(config, "clusters", "cluster", str(chosen.get("cluster", "")), path)
    user = _named(config, "users", "user", str(chosen["user"]), path) if chosen.get("user") else {}
    if not cluster.get("server"):
        raise KubeconfigError(f'{path}: cluster "{chosen.get("cluster")}" has no server. Add its URL.')
    return cluster, user, str(chosen.get("user", ""))


def _load(path: Path) -> dict[str, Any]:
    try:
        config = yaml.load(path.read_bytes(), Loader=yaml.SafeLoader)
    except OSError as error:
        raise KubeconfigError(f"The kubeconfig {path} cannot be read: {error.strerror}. Check the path.") from error
    except yaml.YAMLError as error:
        raise KubeconfigError(f"The kubeconfig {path} is not YAML: {in_a_line(error)}") from error
    if not isinstance(config, dict):
        raise KubeconfigError(f"The kubeconfig {path} holds {_said(config)}; it must be a mapping with contexts.")
    return config


_WORDS: Final = {
    type(None): "nothing", str: "only text", list: "a list", bool: "true or false", int: "a number", float: "a number"
}  # fmt: skip


def _said(value: object) -> str:
    """What a file holds, for people."""
    return _WORDS.get(type(value), "a mapping")


def in_a_line(error: yaml.YAMLError) -> str:
    """What a parser of YAML found wrong and where, without the passage that it prints below."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return str(error).partition("\n")[0]
    mark = error.problem_mark or error.context_mark
    what = error.problem or error.context or "it cannot be read"
    return what if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: {what}"


def _named(config: dict[str, Any], many: str, one: str, name: str, path: Path) -> dict[str, Any]:
    listed = config.get(many) or ()
    if not isinstance(listed, list | tuple):
        raise KubeconfigError(f"{path}: {many} is {_said(listed)}; it must be a list.")
    entries = [entry for entry in listed if isinstance(entry, dict)]
    for entry in entries:
        if entry.get("name") == name:
            found = entry.get(one) or {}
            if not isinstance(found, dict):
                raise KubeconfigError(f'{path}: {one} "{name}" is {_said(found)}; it must be a mapping.')
            return found
    known = ", ".join(sorted(str(entry.get("name")) for entry in entries)) or "none"
    raise KubeconfigError(f'{path} has no {one} "{name}" (there are: {known}). Name one of them.')


def _ssl_context(cluster: dict[str, Any], user: dict[str, Any], path: Path) -> ssl.SSLContext:
    authority = _pem(cluster, "certificate-authority", path)
    try:
        context = ssl.create_default_context(cadata=authority.decode("ascii") if authority else None)
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise KubeconfigError(
            f"{path}: certificate-authority holds no certificate that can be read: {error}. It must be PEM."
        ) from error
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = _pem(user, "client-certificate", path), _pem(user, "client-key", path)
    if certificate and key:
        try:
            _load_pair(context, certificate, key)
        except ssl.SSLError as error:
            raise KubeconfigError(
                f"{path}: client-certificate and client-key cannot be used: {error}. They must be PEM, and belong together."
            ) from error
    elif certificate or key:
        raise KubeconfigError(
            f"{path}: a client certificate needs client-certificate and client-key. Add the missing one."
        )
    return context


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """ssl reads certificates from files only: a private one that lives for the length of this call."""
    descriptor, name = tempfile.mkstemp(prefix="roadstead-")  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate.rstrip() + b"\n" + key)
        context.load_cert_chain(name)
    finally:
        os.unlink(name)


def _pem(entry: dict[str, Any], field: str, path: Path) -> bytes:
    data = entry.get(f"{field}-data")
    if data:
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise KubeconfigError(f"{path}: {field}-data is not base64: {error}") from error
    if entry.get(field):
        source = _beside(path, entry[field])
        try:
            return source.read_bytes()
        except OSError as error:
            raise KubeconfigError(
                f"{path}: {field} {source} cannot be read: {error.strerror}. Check the path."
            ) from error
    return b""


def _beside(path: Path, name: str) -> Path:
    """Relative paths in a kubeconfig are relative to it."""
    return path.parent / Path(name).expanduser()
