"""Train a classifier on scikit-learn's bundled digits, with checkpoints: stop it anywhere and it goes on where it was.

    python digits.py --steps 300 --checkpoint DIR [--pace 0.008]

Prints one line per ten steps. SIGTERM: write a checkpoint and leave. Its last word, the container's
termination message, is one line of JSON: steps, resumed_from, accuracy.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # many jobs share the machine
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

stopping = False


def stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    global stopping
    stopping = True


def load(path: Path, seed: int) -> tuple[Any, int]:
    """The model and the step it has reached: from the checkpoint if there is one."""
    if path.exists():
        saved = pickle.loads(path.read_bytes())
        return saved["model"], saved["step"]
    return MLPClassifier(hidden_layer_sizes=(64,), learning_rate_init=2e-3, batch_size=64, random_state=seed), 0


def save(path: Path, model: Any, step: int) -> None:
    """Replace the checkpoint whole, so that a kill in between leaves the old one."""
    scratch = path.with_suffix(".tmp")
    scratch.write_bytes(pickle.dumps({"model": model, "step": step}))
    os.replace(scratch, path)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--report", type=Path, default=os.environ.get("ROADSTEAD_TERMINATION_LOG"))
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--pace", type=float, default=0.0, help="least seconds per step: a fast machine takes its time too"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)

    data = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(data.data / 16.0, data.target, test_size=0.25, random_state=0)
    options.checkpoint.mkdir(parents=True, exist_ok=True)
    path = options.checkpoint / "model.pickle"
    model, first = load(path, options.seed)
    print(
        f"training on {len(train_x)} digits, from step {first} of {options.steps}, devices: "
        f"{os.environ.get('CUDA_VISIBLE_DEVICES') or 'none'}",
        flush=True,
    )
    step = first
    while step < options.steps:
        begun = time.monotonic()
        model.partial_fit(train_x, train_y, classes=np.arange(10))
        step += 1
        if step % 10 == 0 or stopping:
            save(path, model, step)
            print(f"step {step:4d}  loss {model.loss_:.4f}  accuracy {model.score(test_x, test_y):.3f}", flush=True)
        if stopping:
            print(f"asked to stop: checkpoint at step {step}", flush=True)
            return 143
        time.sleep(max(0.0, options.pace - (time.monotonic() - begun)))
    accuracy = float(model.score(test_x, test_y))
    report = json.dumps({"steps": step, "resumed_from": first, "accuracy": round(accuracy, 4)})
    print(report, flush=True)
    if options.report:
        options.report.write_text(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
