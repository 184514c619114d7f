"""Settings of a round: what its cluster file contains besides the plan, and the keys that this
needs.

Every second round uses encryption, and TCP endpoints with keys for clients and observers; every
other pair of rounds uses compression. All nodes scrub their journals in the background.
"""

from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom
from typing import Any

from msgspec import Struct

from node.config.addresses import is_free
from node.security.key_files import Role, TrustedKey, new_pair, trust, write_secret

PORTS = range(14_000, 19_000)  # below those that nodes and systems take for themselves
SCRUB_BYTES_S = 4 << 20
PEOPLE: tuple[tuple[str, Role], ...] = (
    ("paula", "client"),
    ("otto", "observer"),
    ("mallory", "peer"),  # who has a good key and is no node
)


class RoundSettings(Struct, frozen=True):
    encrypt: bool = False
    compress: bool = False
    doors: dict[str, tuple[str, str]] = {}  # node -> where it takes commands, and shows its feed

    def fields(self, nodes: tuple[str, ...], folder: Path) -> dict[str, Any]:
        """For the cluster file."""
        told: list[dict[str, Any]] = [{"name": node} for node in nodes]
        for one in told if self.doors else ():
            control, feed = self.doors[one["name"]]
            one |= {"control": {"listen": control}, "feed": {"listen": feed}}
        return {
            "nodes": told,
            "encrypt": self.encrypt,
            "compress": self.compress,
            "keys_dir": str(folder / "keys"),
            "scrub_bytes_per_s": SCRUB_BYTES_S,
        }

    def make_keys(self, nodes: tuple[str, ...], folder: Path) -> None:
        if not self.encrypt:
            return
        keys = folder / "keys"
        keys.mkdir(mode=0o700)
        wanted: list[tuple[str, Role]] = [(node, "peer") for node in nodes]
        for name, role in [*wanted, *PEOPLE]:
            pair = new_pair(name, role)
            trust(keys, TrustedKey(role, name, pair.public))
            write_secret(keys, pair)


def setting_of(nodes: tuple[str, ...], seed: int) -> RoundSettings:
    encrypt = seed % 2 == 0
    doors: dict[str, tuple[str, str]] = {}
    if encrypt:
        free = free_ports(PORTS)
        doors = {n: (f"127.0.0.1:{next(free)}", f"127.0.0.1:{next(free)}") for n in nodes}
    return RoundSettings(encrypt, seed % 4 in (0, 1), doors)


def free_ports(among: range) -> Iterator[int]:
    """Free TCP ports in random order, because other rounds may run at the same time."""
    for port in SystemRandom().sample(among, len(among)):
        if is_free(f"tcp://127.0.0.1:{port}"):
            yield port
