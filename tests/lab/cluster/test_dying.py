"""A dying process: its first thread is gone, the others are not, and neither are its locks."""

import os
import subprocess
import sys

import pytest

from lab.cluster.processes import await_exit, lives, record_of

DYING = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(0.5,)).start()
print("up", flush=True)
input()
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the system has no pidfd")
def test_a_child_is_reaped_once_its_last_thread_has_ended() -> None:
    command = [sys.executable, "-c", DYING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        record = record_of(child.pid)
        child.stdin.write(b"\n")
        child.stdin.flush()
        while lives(record):
            pass
        assert os.waitpid(child.pid, os.WNOHANG)[0] == 0  # not to be reaped yet
        await_exit(child.pid, 10)
        assert os.waitpid(child.pid, os.WNOHANG)[0] == child.pid
        child.returncode = 0
