"""Many watchers in one cheap process: raw sockets, one epoll, and counting of event lines. `python -m
benchmarks._watch_consumer` with one JSON line on stdin: {"socket" | "port" + "ca", "token", "path", "watchers",
"events"}.

Prints "ready" when every stream has begun, then one JSON line: seconds on the monotonic clock when the last event had
come, events by watcher (smallest and largest), bytes, chunks read, CPU seconds. Nothing is parsed: an event ends with
"}\\n".
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import sys
import time
from typing import Any

BUFFER = 1 << 20
DEADLINE_SECONDS = 120.0


def main() -> None:
    """Watch until every watcher has seen all events, or the deadline."""
    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    context = ssl.create_default_context(cafile=asked["ca"]) if "ca" in asked else None
    request = (
        f"GET {asked['path']} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {asked['token']}\r\n\r\n".encode()
    )
    watchers: dict[int, socket.socket] = {}
    for _ in range(asked["watchers"]):
        sock = _connect(asked, context)
        sock.sendall(request)
        watchers[sock.fileno()] = sock
    for sock in watchers.values():
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise SystemExit(f"a watch was refused: {head.decode()}")
        sock.setblocking(False)
    print("ready", flush=True)
    print(json.dumps(_consume(watchers, asked["events"], is_tls=context is not None)), flush=True)


def _connect(asked: dict[str, Any], context: ssl.SSLContext | None) -> socket.socket:
    if context is None:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(asked["socket"])
        return sock
    plain = socket.create_connection(("127.0.0.1", asked["port"]))
    return context.wrap_socket(plain, server_hostname="localhost")


def _consume(watchers: dict[int, socket.socket], events: int, *, is_tls: bool) -> dict[str, Any]:
    epoll = select.epoll()
    for number in watchers:
        epoll.register(number, select.EPOLLIN)
    buffer = bytearray(BUFFER)
    seen = dict.fromkeys(watchers, 0)
    tails = dict.fromkeys(watchers, False)  # whether the last byte was a closing brace
    received = reads = finished = 0
    used, ends = time.process_time(), time.monotonic() + DEADLINE_SECONDS
    while finished < len(watchers) and time.monotonic() < ends:
        for number, _ in epoll.poll(1.0):
            while True:
                try:
                    size = watchers[number].recv_into(buffer)
                except (BlockingIOError, ssl.SSLWantReadError):
                    break
                if not size:
                    epoll.unregister(number)
                    finished += 1
                    break
                reads += 1
                received += size
                count = buffer.count(b"}\n", 0, size)
                if tails[number] and buffer[0] == 10:
                    count += 1
                tails[number] = buffer[size - 1] == 125
                if count:
                    before = seen[number]
                    seen[number] = before + count
                    if before < events <= seen[number]:
                        finished += 1
                if size < BUFFER and not is_tls:
                    break  # empty now; TLS may hold more that epoll knows nothing of
    return {
        "last": time.monotonic(),
        "least": min(seen.values()),
        "most": max(seen.values()),
        "bytes": received,
        "reads": reads,
        "cpu": time.process_time() - used,
    }


if __name__ == "__main__":
    main()
