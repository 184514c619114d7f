"""The address of each node: as the cluster file says, or else as the address book remembers.

Usually a launcher has filled the book before a node starts. A node that is started alone and finds
no address for itself gives one to every node that has none, so that the ones started later agree.
Ports are taken below the range that systems lend to outgoing connections: there a port could be
lent to anybody while its node is down.
"""

import fcntl
import ipaddress
import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from node.config.cluster_file import ClusterConfig, ConfigError
from node.config.paths import AddressBook

PORTS_FIRST = 20_000
PORTS_LAST = 32_000
TRIES_MAX = 1000


class Directory:
    """The endpoints of a cluster's nodes. `current` looks at the book again only if it changed."""

    def __init__(self, config: ClusterConfig, book: AddressBook) -> None:
        self._fixed = {n.name: f"tcp://{n.listen}" for n in config.nodes if n.listen is not None}
        self._names = [node.name for node in config.nodes]
        self._kept = {f"tcp://{config.metrics_address(name)}" for name in self._names}
        self._book = book
        self._stamp: tuple[int, int] | None = None
        self._known: dict[str, str] = {}

    def current(self) -> dict[str, str]:
        """What is known now. A book that cannot be read changes nothing."""
        if len(self._fixed) < len(self._names):
            try:
                stat = os.stat(self._book.path)
                stamp = (stat.st_mtime_ns, stat.st_ino)
                if stamp != self._stamp:
                    self._known = self._book.load()
                    self._stamp = stamp
            except (OSError, ConfigError):
                pass
        return {**{n: self._known[n] for n in self._names if n in self._known}, **self._fixed}

    def own(self, name: str) -> str:
        """Where this node is to listen; makes an address if there is none. Raises OSError."""
        endpoint = self.current().get(name)
        if endpoint is None:
            self.assign()
            endpoint = self.current()[name]
        return _bindable(endpoint)

    def assign(self, *, renew_taken: bool = False) -> None:
        """Give an address to every node that has none. Raises OSError.

        `renew_taken` is for a cluster of which nothing runs: a remembered port that somebody else
        has taken meanwhile is given up for another one.
        """
        with self._locked():
            known = self._book.load()
            if renew_taken:
                known = {name: endpoint for name, endpoint in known.items() if is_free(endpoint)}
            taken = {*known.values(), *self._fixed.values(), *self._kept}
            for name in self._names:
                if name not in known and name not in self._fixed:
                    known[name] = _free_endpoint(taken)
                    taken.add(known[name])
            self._book.save(known)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        path = self._book.path.with_name(f"{self._book.path.name}.lock")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _free_endpoint(taken: set[str]) -> str:
    draw = random.Random(os.urandom(8))
    for _ in range(TRIES_MAX):
        port = draw.randrange(PORTS_FIRST, PORTS_LAST)
        endpoint = f"tcp://127.0.0.1:{port}"
        if endpoint in taken:
            continue
        if is_free(endpoint):
            return endpoint
    raise OSError(
        f"no free port in {PORTS_FIRST}..{PORTS_LAST - 1}: set `listen` in the cluster file"
    )


def is_free(endpoint: str) -> bool:
    """Nobody listens there now. Raises OSError if its host cannot be found."""
    host, _, port = _bindable(endpoint).removeprefix("tcp://").rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed one is free
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError:
            return False
    return True


def _bindable(endpoint: str) -> str:
    """ZeroMQ dials host names but binds numbers only."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
        return endpoint
    except ValueError:
        pass
    try:
        resolved = socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise OSError(f"{endpoint}: cannot find the host {host}: {error.strerror}") from None
    return f"tcp://{resolved[0][4][0]}:{port}"
