"""Gathers the facts that figures depend on: the machine, the versions, and the load on it."""

import os
import platform
import subprocess
import time
from pathlib import Path

import psutil
import zmq
from msgspec import Struct

ROOT = Path(__file__).parents[2]


class Facts(Struct, frozen=True):
    when: str  # UTC
    build: str  # git describe, or "" outside of a checkout
    cores: int
    processor: str
    memory_gib: int
    system: str
    python: str
    libzmq: str
    load: float  # of the machine when the run began: runnable processes, mean of a minute
    quick: bool


def gather(*, quick: bool) -> Facts:
    return Facts(
        when=time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        build=_build(),
        cores=len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1,
        processor=_processor(),
        memory_gib=round(psutil.virtual_memory().total / 2**30),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        libzmq=zmq.zmq_version(),
        load=round(os.getloadavg()[0], 2),
        quick=quick,
    )


def _build() -> str:
    command = ["git", "describe", "--always", "--dirty", "--tags"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
