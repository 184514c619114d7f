"""The bare baselines: what a disk, a file and a socket do with nothing of chatlab around them.

Each is measured in the run whose figure it stands beside. `python -m lab.bench.bare ENDPOINT COUNT`
is the receiving process of `transfer_s`.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import zmq

READ_BYTES = 1024 * 1024
TRANSFER_TIMEOUT_S = 60


def append_s(count: int, record_bytes: int, commits: int) -> float:
    """Seconds to append `count` records in `commits` writes, each with its fdatasync."""
    record = b"x" * record_bytes
    commits = min(max(commits, 1), count)
    with tempfile.TemporaryDirectory(prefix="chatlab-bench-") as folder:
        handle = os.open(Path(folder) / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            began = time.monotonic()
            for number in range(commits):
                share = count * (number + 1) // commits - count * number // commits
                os.write(handle, b"".join([record] * share))
                os.fdatasync(handle)
            return time.monotonic() - began
        finally:
            os.close(handle)


def append_ms(count: int, record_bytes: int) -> list[float]:
    """Milliseconds of each of `count` appends of one record with its fdatasync."""
    record = b"x" * record_bytes
    took: list[float] = []
    with tempfile.TemporaryDirectory(prefix="chatlab-bench-") as folder:
        handle = os.open(Path(folder) / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for _ in range(count):
                began = time.monotonic()
                os.write(handle, record)
                os.fdatasync(handle)
                took.append((time.monotonic() - began) * 1000)
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
            command = [sys.executable, "-m", "lab.bench.bare", f"tcp://127.0.0.1:{port}"]
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
