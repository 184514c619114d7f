"""Computes the paths of a cluster's files. Only `make` and the address book do I/O.

    <folder of cluster.yaml>/<data_dir, or .chatlab>/<cluster>/    0700
        nodes.json  launcher.pid  launcher.sock  <node>.journal
        <node>/     journal/  node.jsonl  stderr.txt  node.pid  control  feed
    <folder of cluster.yaml>/<data_dir, or .chatlab>/<cluster>.keys/    0700, or keys_dir

Keys lie beside the cluster's folder and not in it, so that wiping what nodes stored keeps them.
A node and the commands that talk to it compute the same paths from the same file. Socket paths are
limited to 107 bytes by the system, and by libzmq to UTF-8; a cluster whose folder does not fit has
its sockets in a short private folder, named after its user and a hash of the folder, with all links
resolved.
"""

import hashlib
import os
import stat
from pathlib import Path

import msgspec
from msgspec import Struct

from domain.dot import ORIGIN_CHARS_MAX
from node.config.cluster_file import ClusterConfig, ConfigError

STATE_DIR = ".chatlab"
SOCKET_BYTES_MAX = 107  # sockaddr_un, less its final zero
BOOK_BYTES_MAX = 1024 * 1024
# Not $TMPDIR: a node and a command started elsewhere must agree, and it may be long itself.
SHORT_DIR = Path("/tmp")  # noqa: S108  (the folder made there is private, see `private_dir`)


class NodePaths(Struct, frozen=True):
    dir: Path
    journal_dir: Path
    log_file: Path
    stderr_file: Path
    pid_file: Path
    journal_id: Path  # the note of which journal the node has, outside of its folder
    control: Path
    feed: Path

    def make(self) -> None:
        """Make the folders, for the owner only. Raises OSError."""
        if self.control.parent.parent.parent == SHORT_DIR:  # where others may write
            private_dir(self.control.parent.parent)
            private_dir(self.control.parent)
        private_dir(self.dir)
        private_dir(self.journal_dir)


class ClusterPaths:
    """`base` is the folder of the cluster file."""

    def __init__(self, base: Path, config: ClusterConfig) -> None:
        try:
            data_dir = Path(config.data_dir or STATE_DIR).expanduser()
        except RuntimeError as error:  # ~somebody
            raise ConfigError(f"data_dir: {error}") from None
        state = base.absolute() / data_dir
        self.root = Path(os.path.normpath(state / config.name))
        self.keys = _keys_dir(base, config, self.root)
        self.address_book = self.root / "nodes.json"
        self.launcher_pid = self.root / "launcher.pid"
        # However the way there is spelt: a node and a command may have come by different links.
        real = Path(os.path.realpath(self.root))
        fits = _fits(real / ("n" * ORIGIN_CHARS_MAX) / "control")
        self._sockets = real if fits else _short_dir(real)
        self.launcher_socket = self._sockets / "launcher.sock"

    def node(self, name: str) -> NodePaths:
        folder = self.root / name
        sockets = self._sockets / name
        return NodePaths(
            dir=folder,
            journal_dir=folder / "journal",
            log_file=folder / "node.jsonl",
            stderr_file=folder / "stderr.txt",
            pid_file=folder / "node.pid",
            journal_id=self.root / f"{name}.journal",
            control=sockets / "control",
            feed=sockets / "feed",
        )

    def make(self) -> None:
        """Make the cluster's own folders, for the owner only. Raises OSError."""
        private_dir(self.root)
        private_dir(self.launcher_socket.parent)


def _keys_dir(base: Path, config: ClusterConfig, root: Path) -> Path:
    if config.keys_dir is None:
        return root.with_name(f"{root.name}.keys")  # no cluster and no node can have that name
    try:
        return Path(os.path.normpath(base.absolute() / Path(config.keys_dir).expanduser()))
    except RuntimeError as error:  # ~somebody
        raise ConfigError(f"keys_dir: {error}") from None


def _fits(path: Path) -> bool:
    """Into the address of a socket, which is also said to libzmq, as UTF-8."""
    name = os.fsencode(path)
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return len(name) <= SOCKET_BYTES_MAX


def _short_dir(root: Path) -> Path:
    name = hashlib.blake2b(os.fsencode(root), digest_size=8).hexdigest()
    return SHORT_DIR / f"chatlab-{os.getuid()}-{name}"


def private_dir(folder: Path) -> None:
    """Make a folder with mode 0700; one that exists must be ours. Raises OSError.

    Where everybody may write, somebody else may have been there first: neither his folder nor his
    link is taken.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat() if folder.parent == SHORT_DIR else folder.stat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else: remove it or set data_dir")
    if stat.S_IMODE(status.st_mode) & 0o077:
        folder.chmod(0o700)


class AddressBook:
    """Which node listens where: {"n1": "tcp://127.0.0.1:20001"}, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> dict[str, str]:
        """Empty if there is none yet. Raises ConfigError if the file is something else."""
        try:
            with self.path.open("rb") as file:
                data = file.read(BOOK_BYTES_MAX + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot read it: {error.strerror}") from None
        try:
            if len(data) > BOOK_BYTES_MAX:
                raise msgspec.ValidationError("it is too large")
            return msgspec.json.decode(data, type=dict[str, str])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            what = f"{self.path}: is not an address book ({error})"
            raise ConfigError(f"{what}: remove it, `chatlab cluster up` makes a new one") from None

    def save(self, addresses: dict[str, str]) -> None:
        """A reader sees the old book or the new one, never a part. Raises OSError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(addresses)) + b"\n")
        os.replace(beside, self.path)
