"""Listeners and descriptors for a gate (`node.sockets.gate`): what it asks of the system.

`listen_tcp` opens the port, `bind_unnamed` binds the ZeroMQ socket behind the gate where nobody
else can reach it, `spare` and `connections_max` keep descriptors in reserve, because libzmq ends
the process when it finds none. Errors are OSError.
"""

import contextlib
import os
import resource
import secrets
import socket

import zmq

from node.sockets.pump import RawSocket

BACKLOG = 128
HANDSHAKE_MS = 3000  # of a connection, before it is closed again
# One of them has room for a name, which stays no longer than it takes to open it.
FOLDERS = (os.environ.get("TMPDIR", "."), "/tmp", "/dev/shm", "/run", ".")  # noqa: S108
DESCRIPTORS_EACH = 3  # of a connection: outside, and both ends inside
DESCRIPTORS_SPARE = 8  # that must be there when somebody is let in
DESCRIPTORS_RESERVED = 128  # for files, and for the ways to peers


def spare(fd: int) -> None:
    """Raises OSError if descriptors run short: libzmq needs one, or it ends the process."""
    spares: list[int] = []
    try:
        for _ in range(DESCRIPTORS_SPARE):
            spares.append(os.dup(fd))  # noqa: PERF401  (what was made before it failed is closed)
    finally:
        for spare in spares:
            os.close(spare)


def tune(outer: socket.socket) -> None:
    if outer.family == socket.AF_UNIX:
        return
    with contextlib.suppress(OSError):  # it may have ended already
        for level, option, value in (
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
        ):
            outer.setsockopt(level, option, value)


def bind_unnamed(behind: RawSocket) -> int:
    """Bind to a path that is removed at once: a descriptor of it is the only way there.

    So nobody else can go around the gate, and nothing is left when the process is killed. Raises
    OSError if no folder takes a socket, not even for a moment.
    """
    failed: OSError | None = None
    for folder in FOLDERS:
        try:
            return _bind_unnamed_in(folder, behind)
        except OSError as error:  # a full disk, or no such folder
            failed = error
    assert failed is not None
    raise OSError(failed.errno, f"no folder takes a socket: {failed.strerror}")


def _bind_unnamed_in(folder: str, behind: RawSocket) -> int:
    there = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    path = f"/proc/self/fd/{there}/.chatlab-{secrets.token_hex(8)}"  # short, whatever the folder
    before = os.umask(0o077)
    try:
        behind.bind(f"ipc://{path}")
        try:
            return os.open(path, os.O_PATH | os.O_CLOEXEC)
        finally:
            os.unlink(path)
    except zmq.ZMQError as error:
        raise OSError(error.errno, error.strerror) from None
    finally:
        os.umask(before)
        os.close(there)


def listen_tcp(endpoint: str) -> tuple[socket.socket, str]:
    """A listener at tcp://HOST:PORT, and where it listens. `*` is any. Raises OSError."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("" if host == "*" else host.strip("[]"), 0 if port == "*" else int(port)))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    host_at, port_at = listener.getsockname()[:2]
    return (
        listener,
        f"tcp://[{host_at}]:{port_at}" if ":" in host_at else f"tcp://{host_at}:{port_at}",
    )


def connections_max(most: int, *, share: float) -> int:
    """So many connections a gate may have, with its share of what descriptors the process has."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return most
    spare = int((limit - DESCRIPTORS_RESERVED) * share) // DESCRIPTORS_EACH
    return max(4, min(most, spare))
