"""HTTP: GET and durable POST of 2 KB objects (JSON), over TLS on loopback and over the Unix socket.

Boundary: a client's request on a kept connection until the whole answer is there; POSTs are answered after fsync
(durability full). Server and load generator share this machine's cores. TLS is measured with wrk (C) where it is
installed; wrk knows no Unix sockets, so these, and TLS where wrk is missing, are measured with our own generator in
Python, which costs about as much as the server: a lower bound.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvloop

from benchmarks._http_load import load

CONNECTIONS = 32
SECONDS = 4.0
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
FLOORS = {"GET": 5000, "POST": 1500}


def body(name: str) -> bytes:
    """A ConfigMap of 2 KB."""
    value = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"a": "x" * 900, "b": "y" * 900},
    }
    return json.dumps(value).encode().ljust(2048)


def run() -> Iterator[str]:
    """Measure; one line each."""
    with tempfile.TemporaryDirectory(prefix="roadstead-http-") as directory:
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._http_server", directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert server.stdout is not None
            where = json.loads(server.stdout.readline())
            yield f"{CONNECTIONS} connections, {SECONDS:.0f} s each; floors: {FLOORS['GET']} GET/s, {FLOORS['POST']} POST/s"
            uvloop.run(_prepare(where))
            if shutil.which("wrk"):
                for method in ("GET", "POST"):
                    yield _wrk(method, where, Path(directory))
            else:
                yield "wrk is not installed (Debian: apt install wrk): TLS measured with the generator in Python"
                for method in ("GET", "POST"):
                    yield uvloop.run(_python(method, where, is_tls=True))
            for method in ("GET", "POST"):
                yield uvloop.run(_python(method, where, is_tls=False))
        finally:
            server.communicate(timeout=20)


async def _prepare(where: dict[str, Any]) -> None:
    once = iter([_request("POST", CONFIG_MAPS, where, body("seed"))])
    result = await load(
        lambda: next(once, _request("GET", "/version", where)), connections=1, seconds=0.2, unix=where["socket"]
    )
    assert result.statuses.get(b"201") == 1, result.statuses


def _request(method: str, path: str, where: dict[str, Any], content: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {where['token']}\r\n"
    if content:
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"\r\n" + content


def _requests(method: str, where: dict[str, Any], prefix: str) -> Callable[[], bytes]:
    if method == "GET":
        get = _request("GET", f"{CONFIG_MAPS}/seed", where)
        return lambda: get
    counter = itertools.count()
    return lambda: _request("POST", CONFIG_MAPS, where, body(f"{prefix}-{next(counter)}"))


async def _python(method: str, where: dict[str, Any], *, is_tls: bool) -> str:
    transport = "TLS" if is_tls else "Unix socket"
    requests = _requests(method, where, "tls" if is_tls else "unix")
    if is_tls:
        context = ssl.create_default_context(cafile=where["ca"])
        result = await load(requests, connections=CONNECTIONS, seconds=SECONDS, port=where["port"], tls=context)
    else:
        result = await load(requests, connections=CONNECTIONS, seconds=SECONDS, unix=where["socket"])
    expected = b"200" if method == "GET" else b"201"
    others = sum(count for status, count in result.statuses.items() if status != expected)
    return _line(
        method, transport, "Python generator", result.rate, result.percentile(0.5), result.percentile(0.99), others
    )


def _wrk(method: str, where: dict[str, Any], directory: Path) -> str:
    script = directory / "load.lua"
    script.write_text(
        f'wrk.headers["Authorization"] = "Bearer {where["token"]}"\n'
        + (
            ""
            if method == "GET"
            else 'wrk.headers["Content-Type"] = "application/json"\n'
            'local threads = 0\nfunction setup(thread) thread:set("id", threads) threads = threads + 1 end\n'
            "local counter = 0\nlocal head = [[" + body("NAME").decode().partition("NAME")[0] + "]]\n"
            "local tail = [[" + body("NAME").decode().partition("NAME")[2] + "]]\n"
            "function request()\n  counter = counter + 1\n"
            f'  return wrk.format("POST", "{CONFIG_MAPS}", nil, head .. "wrk-" .. id .. "-" .. counter .. tail)\nend\n'
        )
    )
    path = f"{CONFIG_MAPS}/seed" if method == "GET" else CONFIG_MAPS
    url = f"https://127.0.0.1:{where['port']}{path}"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS:.0f}s", "--latency", "-s", str(script), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    rate = float(_found(r"Requests/sec:\s+([\d.]+)", text))
    others = int(_found(r"Non-2xx or 3xx responses: (\d+)", text) or 0)
    return _line(method, "TLS", "wrk", rate, _milliseconds("50%", text), _milliseconds("99%", text), others)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _milliseconds(percentile: str, text: str) -> float:
    match = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)", text)
    if match is None:
        return 0.0
    return float(match[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[match[2]]


def _line(method: str, transport: str, generator: str, rate: float, median: float, slow: float, others: int) -> str:
    verdict = "" if rate >= FLOORS[method] else "  BELOW THE FLOOR"
    failures = f", {others} other answers" if others else ""
    return f"{method:4} 2 KB, {transport} ({generator}): {rate:8,.0f}/s, median {median:.2f} ms, p99 {slow:.2f} ms{failures}{verdict}"


if __name__ == "__main__":
    for line in run():
        print(line)
