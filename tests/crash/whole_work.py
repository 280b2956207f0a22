"""What the containers of the crash tests run: it keeps the ledgers by which the product is judged.

    python -I -S whole_work.py DIRECTORY WHO EXIT_CODE SECONDS [GATE]

It appends `start RUN WHO DEVICES` to DIRECTORY/ledger, takes the kernel's lock of each device that it was given
(`double RUN DEVICE` if another live process has it), works for a while (with GATE: until that file exists), and appends
`end RUN CODE`. It makes the file DIRECTORY/gates/JOB as soon as it runs.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time

GATE_SECONDS = 240.0


def main(directory: str, who: str, code: int, seconds: float, gate: str = "") -> int:
    run = "/".join(os.environ["ROADSTEAD_RUN"].split("/")[-3:])
    job, container = who.split("/")
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    ledger = os.open(f"{directory}/ledger", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(*words: str) -> None:
        os.write(ledger, (" ".join(words) + "\n").encode())

    def terminated(*_: object) -> None:
        note("end", run, "143")
        os._exit(143)

    note("start", run, f"{job}/{os.environ.get('JOB_COMPLETION_INDEX', '0')}/{container}", devices or "-")
    signal.signal(signal.SIGTERM, terminated)
    if container == "main":  # the containers of one pod share its devices
        for device in filter(None, devices.split(",")):
            lock = os.open(f"{directory}/device-{device}", os.O_WRONLY | os.O_CREAT)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                note("double", run, device)
    open(f"{directory}/gates/{job}", "w").close()
    deadline = time.monotonic() + GATE_SECONDS
    while gate and not os.path.exists(f"{directory}/gates/{gate}") and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(seconds)
    note("end", run, str(code))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), *sys.argv[5:]))
