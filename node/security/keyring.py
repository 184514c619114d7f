"""The keyring of a running node: its own key, and whom it trusts now.

The file is checked at most once a second, and read again when it changed: a new key is trusted from
then on, and one that was taken off the list is not. A caller notices a change by comparing the
object `trusted` with the one that it had: another object is another list.

A list that cannot be read trusts nobody. That is hard on a typo, and the only answer that cannot
let in somebody who has just been taken off it; an error in the log says so.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from node.config.cluster_file import ClusterConfig, ConfigError, is_loopback
from node.core.ports import Note
from node.security.key_files import LIST, KeyPair, Trusted, read_secret, read_trusted

LOOK_EVERY_S = 1.0
Stamp = tuple[int, int, int, int]


class Keyring:
    """Raises ConfigError if the own key or the list cannot be used."""

    def __init__(
        self,
        folder: Path,
        node: str,
        *,
        now_s: Callable[[], float] = time.monotonic,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self.own: KeyPair = read_secret(folder, node)
        self.on_note: Callable[[Note], None] | None = None
        self._folder = folder
        self._now_s = now_s
        self._look_every_s = look_every_s
        self._looked_s = now_s()
        self._stamp = self._look()
        self._trusted = read_trusted(folder)
        if self.own.role != "peer":
            raise ConfigError(f"{folder}: the key of {node} is a {self.own.role}'s, not a node's")
        if self._trusted.public_of(node, "peer") != self.own.public:
            raise ConfigError(
                f"{folder}: {node} has another key than the one in the list: "
                f"`chatlab keys trust {node} {self.own.public.hex()} --replace`"
            )

    @property
    def trusted(self) -> Trusted:
        now_s = self._now_s()
        if now_s - self._looked_s >= self._look_every_s:
            self._looked_s = now_s
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp = stamp
                self._read()
        return self._trusted

    def _look(self) -> Stamp | None:
        try:
            status = os.stat(self._folder / LIST)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size, status.st_mode

    def _read(self) -> None:
        try:
            self._trusted = read_trusted(self._folder)
        except ConfigError as error:
            self._trusted = Trusted([])
            self._tell(Note("keys_unreadable", "error", {"reason": str(error)}))
        else:
            self._tell(Note("keys_read", "info", {"keys": len(self._trusted.keys)}))

    def _tell(self, note: Note) -> None:
        if self.on_note is not None:
            self.on_note(note)


def check_doors(config: ClusterConfig) -> None:
    """Refuse a cluster that others than its owner can reach without a key; raises ConfigError."""
    if config.encrypt or config.insecure:
        return
    for node in config.nodes:
        if node.listen is not None and not is_loopback(node.listen):
            raise ConfigError(
                f"{node.name} listens on {node.listen}, beyond this machine, and without keys "
                "everybody who reaches it is let in: make keys (`chatlab keys new`) and set "
                "`encrypt: true`, or write `insecure: true`"
            )


def keyring_of(config: ClusterConfig, folder: Path, node: str) -> Keyring | None:
    """The keyring of a node, or None if its cluster does without. Raises ConfigError."""
    check_doors(config)
    return Keyring(folder, node) if config.encrypt else None
