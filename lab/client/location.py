"""Finds the cluster that a command is meant for, and the paths of its parts, without parsing YAML
each time.

Order: `--file`, then $CHATLAB_CLUSTER, then the generated cluster if `cluster up -n` made one
here, then `./cluster.yaml`. A command that parses the file writes a digest of it beside the state
(`.chatlab/.cluster.yaml.place`); a later command uses the digest as long as the file's content is
the same. That keeps `send`, `ps` and `kill` free of the YAML parser.
"""

import contextlib
import os
import stat
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from lab.client.atomic_json import write_json
from lab.terminal.errors import Exit, Problem
from node.config.cluster_mark import FILE_BYTES_MAX, ClusterMark, MarkError, read_mark
from node.config.os_errors import complaint

if TYPE_CHECKING:
    from domain.moderation import Policy
    from node.config.ownership import Claim

DEFAULT_FILE = "cluster.yaml"
VARIABLE = "CHATLAB_CLUSTER"
STATE_DIR = ".chatlab"
GENERATED_FILE = f"{STATE_DIR}/generated.yaml"
GENERATED_COUNT = 5
NODES_MAX = 100
FORMAT = 5


class LocationError(Problem):
    """Wrong configuration."""

    def __init__(self, text: str) -> None:
        super().__init__(text, Exit.USAGE)


class NodeLocation(Struct, frozen=True):
    name: str
    dir: str
    journal_dir: str
    log_file: str
    stderr_file: str
    pid_file: str
    journal_id: str
    control: str
    feed: str
    listen: str = ""  # host:port, if the cluster file says so
    key_files: tuple[str, ...] = ()  # of who speaks to a node elsewhere, see `lab.client.remote`
    node_key: str = ""

    @property
    def is_remote(self) -> bool:
        return not self.pid_file


class ClusterLocation(Struct, frozen=True):
    """A cluster on this machine: its name, its file, and every path that a command may need."""

    format: int
    file: str
    content: str  # a hash of the file: time and size may be the same where that is not
    name: str
    root: str
    launcher_socket: str
    address_book: str
    restart: str
    nodes: dict[str, NodeLocation]
    id: str = ""  # what the cluster file says of it; see `mark`
    former: tuple[str, ...] = ()  # other state folders that this file had
    restarts: tuple[int, float] | None = None  # how many in how many seconds

    @property
    def mark(self) -> ClusterMark | None:
        """Whose state folder it is, by its mark. Raises LocationError if it cannot be read."""
        try:
            return read_mark(Path(self.root))
        except MarkError as error:
            raise LocationError(str(error)) from None
        except OSError as error:
            raise LocationError(f"cannot read {complaint(error)}") from None

    @property
    def launched_file(self) -> Path:
        return Path(self.root, "launched.json")

    @property
    def launcher_log(self) -> Path:
        return Path(self.root, "launcher.jsonl")

    def at(self, name: str) -> NodeLocation:
        """Where a node of that name keeps its things, whether it is in the file or not."""
        if name in self.nodes:
            return self.nodes[name]
        folder = Path(self.root, name)
        sockets = Path(self.launcher_socket).parent / name
        return NodeLocation(
            name=name,
            dir=str(folder),
            journal_dir=str(folder / "journal"),
            log_file=str(folder / "node.jsonl"),
            stderr_file=str(folder / "stderr.txt"),
            pid_file=str(folder / "node.pid"),
            journal_id=str(folder.with_name(f"{name}.journal")),
            control=str(sockets / "control"),
            feed=str(sockets / "feed"),
        )

    def node(self, name: str) -> NodeLocation:
        """The node of that name; raises LocationError with the nearest name otherwise."""
        place = self.nodes.get(name)
        if place is None:
            raise LocationError(unknown_node(name, list(self.nodes), self.file))
        return place


def unknown_node(name: str, names: list[str], file: str) -> str:
    import difflib  # lazy: only for the error

    from lab.terminal.display import display_safe

    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"its nodes are {listed(names)}"
    return f"no node {display_safe(name, 40)!r} in {file}: {hint}"


def listed(names: list[str]) -> str:
    shown = names if len(names) <= 12 else [*names[:11], "…", names[-1]]
    return ", ".join(shown)


def cluster_file(option: Path | None) -> Path:
    """The file that a command means. It need not exist."""
    if option is not None:
        return option
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    generated = Path(GENERATED_FILE)
    refuse_closed(generated.parent)
    try:
        return generated if generated.exists() else Path(DEFAULT_FILE)
    except OSError as error:
        raise LocationError(f"cannot look for {complaint(error)}") from None


def refuse_closed(folder: Path) -> None:
    """Raises LocationError, which names both users, if another user's folder cannot be read."""
    for one in (folder.absolute(), *folder.absolute().parents):
        try:
            owner = one.stat().st_uid
        except OSError:
            continue  # not there, or behind a closed folder, which comes next
        if not os.access(one, os.R_OK | os.X_OK) and owner != os.getuid():
            text = f"{one} belongs to {_user(owner)}, and you are {_user(os.getuid())}"
            raise LocationError(f"{text}: only its owner can handle this cluster")
        return


def _user(number: int) -> str:
    import pwd  # lazy: only for the error

    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"user {number}"


def find(option: Path | None) -> ClusterLocation:
    """The place of the cluster that a command means; raises LocationError."""
    file = cluster_file(option)
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise LocationError(f"{file} is not a file: name a cluster file with --file")
        content = _content_of(file)
    except FileNotFoundError:
        raise LocationError(_missing(file, option)) from None
    except OSError as error:
        raise LocationError(f"cannot read {complaint(error)}") from None
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        place = msgspec.json.decode(_digest_file(file).read_bytes(), type=ClusterLocation)
        if (
            place.content == content
            and place.format == FORMAT
            and place.file == str(file.absolute())
        ):
            return _owned(place)
    return _owned(parse(file))


def _owned(place: ClusterLocation) -> ClusterLocation:
    """The same, if its state folder is its own; raises LocationError, which names both, if not."""
    refuse_closed(Path(place.root))
    mark, root, file = place.mark, Path(place.root), Path(place.file)
    if mark is not None and mark.fits(root, file) and place.id in ("", mark.id):
        return place
    if mark is not None or os.path.lexists(root):
        standing_of(place)
    return place


def standing_of(place: ClusterLocation) -> "Claim":
    """How its state folder stands to the cluster file; raises LocationError."""
    from node.config.cluster_file import ConfigError  # lazy: the YAML parser
    from node.config.ownership import look

    try:
        return look(Path(place.root), Path(place.file), place.id)
    except ConfigError as error:
        raise LocationError(str(error)) from None
    except OSError as error:
        raise LocationError(f"cannot read {complaint(error)}") from None


def relatives(place: ClusterLocation) -> list[ClusterLocation]:
    """State folders of the same file, from when it had another `name` or `data_dir`."""
    root, found = Path(place.root), list(place.former)
    with contextlib.suppress(OSError):
        found += [one.path for one in os.scandir(root.parent)]
    folders = {os.path.realpath(one): one for one in reversed(found)}  # a link is no other folder
    folders.pop(os.path.realpath(root), None)
    return [_relative(place, Path(one)) for one in folders.values() if _is_of(place.file, one)]


def _is_of(file: str, folder: str) -> bool:
    with contextlib.suppress(MarkError, OSError):
        mark = read_mark(Path(folder))
        return mark is not None and mark.fits(Path(folder), Path(file))
    return False


def _relative(place: ClusterLocation, root: Path) -> ClusterLocation:
    from node.config.cluster_file import load  # lazy: the YAML parser
    from node.config.paths import ClusterPaths

    config = load(Path(place.file))
    config = msgspec.structs.replace(config, name=root.name, data_dir=str(root.parent))
    paths = ClusterPaths(Path(place.file).parent, config)
    return msgspec.structs.replace(
        place,
        name=root.name,
        root=str(root),
        launcher_socket=str(paths.launcher_socket),
        address_book=str(paths.address_book),
        nodes={},
    )


def policy_in(file: Path) -> "Policy":
    """The moderation rules of a cluster file, with the words of their files."""
    from node.config.cluster_file import ConfigError, load, policy_of  # lazy: the YAML parser

    try:
        return policy_of(load(file), file.absolute().parent)
    except ConfigError as error:
        raise LocationError(str(error)) from None


def keys_in(file: Path) -> Path:
    """The folder with the keys of a cluster file; it need not exist."""
    from node.config.cluster_file import ConfigError, load  # lazy: the YAML parser
    from node.config.paths import ClusterPaths

    try:
        return ClusterPaths(file.absolute().parent, load(file)).keys
    except ConfigError as error:
        raise LocationError(str(error)) from None


def check_doors_in(file: Path) -> None:
    """Check that the nodes may and can open their TCP endpoints. Raises one error for all nodes."""
    from node.config.cluster_file import ConfigError, load  # lazy: the YAML parser
    from node.config.extras import check_extras
    from node.security.key_files import secret_file
    from node.security.keyring import check_doors, keyring_of

    folder, config = keys_in(file), load(file)
    names = [node.name for node in config.nodes]
    keyless = [name for name in names if not secret_file(folder, name).exists()]
    try:
        check_doors(config)
        for name in names:
            check_extras(config, name)
        for name in names if not keyless else []:
            keyring_of(config, folder, name)
    except ConfigError as error:
        raise LocationError(str(error)) from None
    if config.encrypt and keyless:
        make = f"`chatlab keys new {' '.join(keyless)}`"
        raise LocationError(f"no key for {listed(keyless)} in {folder}: {make} makes them")


def parse(file: Path) -> ClusterLocation:
    """Parse the YAML and leave the digest for the next command."""
    from node.config.cluster_file import ConfigError, load  # lazy: the YAML parser
    from node.config.paths import ClusterPaths

    try:
        content = _content_of(file) if file.is_file() else ""  # before: what changes is read again
        config = load(file)
        paths = ClusterPaths(file.absolute().parent, config)
    except ConfigError as error:
        raise LocationError(str(error)) from None
    except OSError as error:
        raise LocationError(f"cannot read {complaint(error)}") from None
    nodes = {}
    for node in config.nodes:
        at = paths.node(node.name)
        nodes[node.name] = NodeLocation(
            name=node.name,
            dir=str(at.dir),
            journal_dir=str(at.journal_dir),
            log_file=str(at.log_file),
            stderr_file=str(at.stderr_file),
            pid_file=str(at.pid_file),
            journal_id=str(at.journal_id),
            control=str(at.control),
            feed=str(at.feed),
            listen=node.listen or "",
        )
    place = ClusterLocation(
        format=FORMAT,
        file=str(file.absolute()),
        content=content,
        name=config.name,
        root=str(paths.root),
        launcher_socket=str(paths.launcher_socket),
        address_book=str(paths.address_book),
        restart=config.restart,
        nodes=nodes,
        id=config.id or "",
        former=_former(file, str(paths.root)),
        restarts=(config.restarts.budget, config.restarts.window_s),
    )
    # A read-only folder only costs time, and so does one whose name is no UTF-8.
    with contextlib.suppress(OSError, UnicodeError):
        write_json(_digest_file(file), place)
    return place


def _content_of(file: Path) -> str:
    """A hash of what the file holds, as far as a cluster file may be long. Raises OSError."""
    with file.open("rb") as opened:
        return blake2b(opened.read(FILE_BYTES_MAX + 1), digest_size=16).hexdigest()


def _former(file: Path, root: str) -> tuple[str, ...]:
    """Where the file kept its state before, as the digest of then tells."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        before = msgspec.json.decode(_digest_file(file).read_bytes(), type=ClusterLocation)
        roots = {os.path.realpath(one): one for one in (*before.former, before.root)}
        roots.pop(os.path.realpath(root), None)
        return tuple([one for one in roots.values() if _is_of(str(file.absolute()), one)])
    return ()


def _digest_file(file: Path) -> Path:
    folder = file.absolute().parent
    if folder.name != STATE_DIR:  # the generated file already lies there
        folder = folder / STATE_DIR
    return folder / f".{file.name}.place"


def _missing(file: Path, option: Path | None) -> str:
    if option is None and not os.environ.get(VARIABLE):
        return (
            f"no {DEFAULT_FILE} here: name one with --file, or start a generated cluster "
            "with `chatlab cluster up`"
        )
    source = "" if option is not None else f" (from ${VARIABLE})"
    return f"no cluster file {file}{source}: check the path"
