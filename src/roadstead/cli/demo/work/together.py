"""Train one model in several processes that exchange gradients over TCP and find each other by name.

    python together.py --rank 0 --members together-0.train together-1.train --port 29500 --address 127.64.0.1

Each member holds its share of the digits; every step they sum their gradients through member 0 and take the same step,
so all end with the same weights. Softmax regression, plain numpy.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import socket
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

Array = npt.NDArray[np.float64]
PATIENCE_SECONDS = 60.0


def receive(peer: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = peer.recv(size - len(parts))
        if not part:
            raise ConnectionError("a member left in the middle of a step")
        parts += part
    return bytes(parts)


class Members:
    """Sums arrays over all members. Member 0 gathers and answers; the others send and wait."""

    def __init__(self, rank: int, names: list[str], port: int, address: str) -> None:
        self.rank, self.count = rank, len(names)
        self.peers: list[socket.socket] = []
        if rank == 0:
            with socket.create_server((address, port)) as server:
                server.settimeout(PATIENCE_SECONDS)
                for _ in names[1:]:
                    peer, where = server.accept()
                    print(f"joined from {where[0]}", flush=True)
                    self.peers.append(peer)
        else:
            self.peers.append(self._find(names[0], port))
        for peer in self.peers:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.settimeout(PATIENCE_SECONDS)

    @staticmethod
    def _find(name: str, port: int) -> socket.socket:
        """Connect to a member by name; it may not have started yet."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                peer = socket.create_connection((name, port), timeout=5)
                print(f"found {name} at {peer.getpeername()[0]}", flush=True)
                return peer
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ConnectionError(f"{name} did not answer within {PATIENCE_SECONDS:.0f} s: {error}") from error
                time.sleep(0.1)

    def total(self, mine: Array) -> Array:
        if self.rank == 0:
            result = mine.copy()
            for peer in self.peers:
                result += np.frombuffer(receive(peer, mine.nbytes)).reshape(mine.shape)
            for peer in self.peers:
                peer.sendall(result.tobytes())
            return result
        self.peers[0].sendall(mine.tobytes())
        return np.frombuffer(receive(self.peers[0], mine.nbytes)).reshape(mine.shape).copy()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--members", nargs="+", required=True)
    parser.add_argument("--port", type=int, default=29500)
    parser.add_argument("--address", default="")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--report", type=Path, default=os.environ.get("ROADSTEAD_TERMINATION_LOG"))
    options = parser.parse_args()

    data = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(data.data / 16.0, data.target, test_size=0.25, random_state=0)
    members = Members(options.rank, options.members, options.port, options.address)
    mine_x = np.hstack([train_x, np.ones((len(train_x), 1))])[options.rank :: members.count]
    mine_y = np.eye(10)[train_y[options.rank :: members.count]]
    print(f"member {options.rank} of {members.count}: {len(mine_x)} of {len(train_x)} digits", flush=True)

    weights: Array = np.zeros((mine_x.shape[1], 10))
    for step in range(1, options.steps + 1):
        scores = mine_x @ weights
        scores -= scores.max(axis=1, keepdims=True)
        likely = np.exp(scores)
        likely /= likely.sum(axis=1, keepdims=True)
        gradient = members.total(mine_x.T @ (likely - mine_y)) / len(train_x)
        weights -= 2.0 * gradient
        if step % 100 == 0:
            print(f"step {step:4d}  gradient {np.abs(gradient).mean():.6f}", flush=True)

    answers = np.argmax(np.hstack([test_x, np.ones((len(test_x), 1))]) @ weights, axis=1)
    accuracy = float((answers == test_y).mean())
    digest = hashlib.sha256(weights.tobytes()).hexdigest()[:12]
    report = json.dumps({"steps": options.steps, "accuracy": round(accuracy, 4), "weights": digest})
    print(report, flush=True)
    if options.report:
        options.report.write_text(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
