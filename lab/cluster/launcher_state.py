"""The launcher's state for each node, and the part of it that it writes to `launched.json` for
`ps`.
"""

import contextlib
import socket
from pathlib import Path
from random import Random
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from node.process.pidfile import ProcessRecord
from node.process.restart_budget import RestartBudget

State = Literal["starting", "running", "backoff", "down", "failed"]


class LaunchedNode(Struct):
    """What `ps` shows of a node without a request to it."""

    state: State = "down"
    pid: int = 0
    starts: int = 0
    exit: str = ""
    exit_at_ms: int = 0


class Launched(Struct):
    nodes: dict[str, LaunchedNode] = field(default_factory=dict)


def read_launched(path: Path) -> Launched:
    """What the last launcher wrote; empty if there was none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Launched)
    except (OSError, msgspec.MsgspecError):
        return Launched()


class Child:
    """One node as the launcher sees it."""

    def __init__(self, name: str, budget: int, window_s: float) -> None:
        self.name = name
        self.seen = LaunchedNode()
        self.record: ProcessRecord | None = None
        self.adopted = False
        self.wanted = False
        self.fd: int | None = None  # the ready pipe, or the pidfd of an adopted node
        self.asked: list[Caller] = []
        self.started_at = 0.0
        self.restart_at: float | None = None
        self.kill_at: float | None = None
        self.budget = RestartBudget(Random(), budget, window_s)

    @property
    def up(self) -> bool:
        return self.seen.state in ("starting", "running")


class Caller:
    """One connection of a command. It is owed a "done" line once `owed` is empty."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.data = b""
        self.owed: set[str] = set()

    def say(self, **line: Any) -> None:
        with contextlib.suppress(OSError):  # a command that went away is owed nothing
            self.connection.sendall(msgspec.json.encode(line) + b"\n")

    def settle(self, name: str) -> None:
        if name in self.owed:
            self.owed.discard(name)
            if not self.owed:
                self.say(done=True)
