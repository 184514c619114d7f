"""The bare baselines: times of a disk, a file and a socket without any code of chatlab.

Each is measured in the run whose figure it is compared with. Results are in seconds (`_s`) or
milliseconds (`_ms`). `transfer_s` starts its receiver as a second process:
`python -m lab.bench.baselines ENDPOINT COUNT`.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import zmq

READ_BYTES = 1024 * 1024
TRANSFER_TIMEOUT_S = 60


def append_s(count: int, record_bytes: int, commits: int) -> float:
    """Seconds to append `count` records in `commits` writes, each with its fdatasync."""
    commits = min(max(commits, 1), count)
    ends = [count * number // commits for number in range(commits + 1)]
    return sum(_appends_s(record_bytes, [end - begin for begin, end in pairwise(ends)]))


def append_ms(count: int, record_bytes: int) -> list[float]:
    """Milliseconds of each of `count` appends of one record with its fdatasync."""
    return [took_s * 1000 for took_s in _appends_s(record_bytes, [1] * count)]


def _appends_s(record_bytes: int, counts: Iterable[int]) -> list[float]:
    """Seconds of each write, with its fdatasync; `counts` gives the records of each."""
    record = b"x" * record_bytes
    took: list[float] = []
    with tempfile.TemporaryDirectory(prefix="chatlab-bench-") as folder:
        handle = os.open(Path(folder) / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for count in counts:
                began = time.monotonic()
                os.write(handle, record * count)
                os.fdatasync(handle)
                took.append(time.monotonic() - began)
        finally:
            os.close(handle)
    return took


def read_s(files: Iterable[Path]) -> float:
    """Seconds to read the files once, in order."""
    began = time.monotonic()
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.read(READ_BYTES):
                pass
    return time.monotonic() - began


def transfer_s(frames: int, frame_bytes: int) -> float:
    """Seconds until another process has received that many frames over TCP, and said so."""
    context = zmq.Context()
    try:
        with context.socket(zmq.DEALER) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVTIMEO, TRANSFER_TIMEOUT_S * 1000)
            port = socket.bind_to_random_port("tcp://127.0.0.1")
            command = [sys.executable, "-m", "lab.bench.baselines", f"tcp://127.0.0.1:{port}"]
            root = str(Path(__file__).parents[2])
            child = subprocess.Popen([*command, str(frames)], env=os.environ | {"PYTHONPATH": root})
            try:
                socket.recv()
                frame = b"x" * frame_bytes
                began = time.monotonic()
                for _ in range(frames):
                    socket.send(frame)
                socket.recv()
                return time.monotonic() - began
            finally:
                child.wait(TRANSFER_TIMEOUT_S)
    finally:
        context.destroy(linger=0)


def _receive(endpoint: str, frames: int) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(endpoint)
    socket.send(b"ready")
    for _ in range(frames):
        socket.recv()
    socket.send(b"done")
    socket.close()
    context.term()


if __name__ == "__main__":
    _receive(sys.argv[1], int(sys.argv[2]))
