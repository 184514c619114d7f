"""One node as a process: `python -m node NODE --file cluster.yaml`, and `run` for who forks it.

`run` returns the exit code: 0 after an orderly stop, 2 wrong configuration, 5 storage (also a data
directory that another process has open), 1 anything else. What went wrong is one line on stderr.

A launcher imports this module, calls `prepare` once and then forks: everything heavy is imported by
then, and nothing that does not survive a fork has been made (no ZeroMQ context, no thread, no event
loop).
"""

import argparse
import contextlib
import errno
import os
import resource
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from node.config.os_errors import complaint, files_used_up
from node.process.standard_streams import open_standard

if TYPE_CHECKING:
    from node.config.cluster_file import ClusterConfig
    from node.config.paths import ClusterPaths, NodePaths
    from node.process.lifecycle import Plan
    from node.process.stopping import Stopping
    from node.process.structured_log import StructuredLog
    from node.storage.files import FileStorage
    from node.storage.recovery import Known

EXIT_OK, EXIT_FAILED, EXIT_CONFIG, EXIT_STORAGE = 0, 1, 2, 5
LIBZMQ_MIN = (4, 3, 5)
FILES_WANTED = 65_536
NOT_STORAGE = (None, errno.EADDRINUSE, errno.EADDRNOTAVAIL)  # None: an error of our own


def prepare() -> None:
    """Import everything that a node needs."""
    import asyncio.unix_events  # noqa: F401
    import concurrent.futures.thread  # noqa: F401

    import node.config.cluster_file
    import node.config.paths
    import node.process.lifecycle
    import node.process.stopping
    import node.process.structured_log  # noqa: F401


def run(name: str, file: Path, ready: Callable[[], None] | None = None) -> int:
    """Be this node until asked to stop. `ready` is called once it answers."""
    try:
        return _ran(name, file, ready)
    except OSError as error:
        # A port is no storage; whatever else the system refuses is.
        code = EXIT_FAILED if error.errno in NOT_STORAGE else EXIT_STORAGE
        return _complain(f"{name}: {complaint(error)}", code)
    except Exception as error:
        if files_used_up():
            used_up = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return _complain(f"{name}: {complaint(used_up)}", EXIT_STORAGE)
        if os.environ.get("CHATLAB_DEBUG"):
            traceback.print_exc()
        return _complain(f"{name}: {type(error).__name__}: {error}", EXIT_FAILED)


def _ran(name: str, file: Path, ready: Callable[[], None] | None) -> int:
    """Raises whatever nobody else has words for."""
    from node.config.cluster_file import ConfigError
    from node.process.stopping import StopAsked, Stopping
    from node.storage.files import StorageError

    try:
        with Stopping() as stopping:
            return _run(name, Path(file), ready, stopping)
    except StopAsked:
        return EXIT_OK
    except ConfigError as error:
        return _complain(str(error), EXIT_CONFIG)
    except StorageError as error:
        return _complain(f"{name}: {error}", EXIT_STORAGE)


def _run(name: str, file: Path, ready: Callable[[], None] | None, stopping: "Stopping") -> int:
    with contextlib.ExitStack() as stack:
        with stopping.interrupts():
            from node.process.lifecycle import live

            plan, storage = _prepared(name, file, ready, stack)
        ending = live(plan, storage, stopping)
    if ending.code:
        return _complain(f"{name}: {ending.reason}", ending.code)
    return EXIT_OK


def _prepared(
    name: str, file: Path, ready: Callable[[], None] | None, stack: contextlib.ExitStack
) -> "tuple[Plan, FileStorage]":
    """What a life needs. The stack takes back what must not outlive the process."""
    from node.config.cluster_file import ConfigError, load
    from node.config.ownership import known_id
    from node.config.paths import ClusterPaths
    from node.process.pidfile import remove_pid_file, write_pid_file
    from node.process.structured_log import open_log
    from node.security.keyring import keyring_of
    from node.storage.files import FileStorage
    from node.storage.journal_id import read_journal_id, refuse_if_gone

    config = load(file)
    config.node(name)
    cluster_paths = ClusterPaths(file.absolute().parent, config)
    known_id(cluster_paths.root, file.absolute(), config.id or "")  # before anything is made
    keyring_of(config, cluster_paths.keys, name)
    _check_libzmq()
    _raise_file_limit()
    os.umask(0o077)
    cluster_paths.make()
    paths = cluster_paths.node(name)
    known = read_journal_id(paths.journal_id) if config.recovery != "salvage" else None
    refuse_if_gone(paths.journal_dir, known)
    paths.make()
    # The lock comes before anything that could touch what another process of this node uses.
    storage = FileStorage(paths.journal_dir)
    stack.callback(storage.close)
    log = open_log(paths.log_file, name, "debug")

    def reread() -> "Plan":
        now = load(file)
        now.node(name)
        there = ClusterPaths(file.absolute().parent, now)
        if there.root != cluster_paths.root:
            what = "`name` and `data_dir` say where the state is: they change at a start only"
            raise ConfigError(f"{file}: {what}")
        return plan_of(now)

    def plan_of(config: "ClusterConfig") -> "Plan":
        given = _Given(
            name=name,
            file=file.absolute(),
            cluster_paths=cluster_paths,
            paths=paths,
            log=log,
            ready=ready,
            known=known,
            reread=reread,
        )
        cluster_id = known_id(cluster_paths.root, given.file, config.id or "")
        return _plan(given, config, cluster_id)

    plan = plan_of(config)
    stack.callback(remove_pid_file, paths.pid_file)
    write_pid_file(paths.pid_file)
    return plan, storage


class _Given(Struct, frozen=True):
    """What the process has, whatever its file says."""

    name: str
    file: Path
    cluster_paths: "ClusterPaths"
    paths: "NodePaths"
    log: "StructuredLog"
    ready: Callable[[], None] | None
    known: "Known | None"
    reread: Callable[[], "Plan"]


def _plan(given: _Given, config: "ClusterConfig", cluster_id: str) -> "Plan":
    from gossip.wire import cluster_hash
    from node.config.addresses import Directory
    from node.config.applied import applied
    from node.config.cluster_file import policy_of
    from node.config.extras import check_extras
    from node.config.paths import AddressBook, ClusterPaths
    from node.core.replica import ReplicaConfig
    from node.process.lifecycle import Plan
    from node.process.settings import NodeSettings
    from node.security.keyring import keyring_of

    name, base, paths, log = given.name, given.file.parent, given.paths, given.log
    check_extras(config, name)
    directory = Directory(config, AddressBook(given.cluster_paths.address_book))
    policy = policy_of(config, base)
    peers = tuple(node.name for node in config.nodes if node.name != name)
    own = config.node(name)
    durability = own.durability or config.durability
    replica = ReplicaConfig(
        node=name,
        cluster=config.name,
        peers=peers,
        durability=durability,
        policy=policy,
        quiet_ms=config.quiet_ms,
        gossip=config.gossip,
        cluster_id=cluster_id,
    )
    settings = NodeSettings(
        node=name,
        cluster=cluster_hash(config.name, cluster_id),
        cluster_id=cluster_id,
        listen=directory.own(name),
        peers=peers,
        control=str(paths.control),
        feed=str(paths.feed),
        pid=os.getpid(),
        durability=durability,
        interval_ms=config.interval_ms,
        restart_budget=config.restarts.budget,
        restart_window_s=config.restarts.window_s,
        control_listen=f"tcp://{own.control.listen}" if own.control else None,
        feed_listen=f"tcp://{own.feed.listen}" if own.feed else None,
        compress=config.compress,
        home=str(paths.dir),
        scrub_bytes_per_s=config.scrub_bytes_per_s,
        metrics_listen=config.metrics_address(name),
    )
    return Plan(
        replica=replica,
        settings=settings,
        journal_dir=paths.journal_dir,
        journal_id=paths.journal_id,
        recover=config.recovery,
        write_note=log.write,
        addresses=directory.current,
        reread=given.reread,
        applied=applied(config, name, policy, cluster_id),
        reopen_log=log.reopen,
        ready=given.ready or (lambda: None),
        trace_dir=paths.dir / "trace" if config.trace else None,
        keyring=keyring_of(config, ClusterPaths(base, config).keys, name),
        known=given.known,
    )


def _check_libzmq() -> None:
    import zmq

    version = zmq.zmq_version_info()
    if version < LIBZMQ_MIN:
        wanted = ".".join(map(str, LIBZMQ_MIN))
        raise OSError(
            f"libzmq {zmq.zmq_version()} has known holes: {wanted} or newer is needed; "
            "reinstall pyzmq"
        )


def _raise_file_limit() -> None:
    """Every connection is a descriptor. Soft only: what the system grants is enough to start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _complain(line: str, code: int) -> int:
    print(f"chatlab: {' '.join(line.split())}", file=sys.stderr, flush=True)
    return code


def main(arguments: list[str] | None = None) -> int:
    open_standard()
    parser = argparse.ArgumentParser(prog="python -m node", description="Run one node.")
    parser.add_argument("node", help="its name in the cluster file")
    parser.add_argument("--file", "-f", type=Path, default=Path("cluster.yaml"))
    parser.add_argument(
        "--ready-fd", type=int, help="an inherited descriptor that gets a line once it answers"
    )
    given = parser.parse_args(arguments)
    return run(given.node, given.file, _ready_on(given.ready_fd))


def _ready_on(fd: int | None) -> Callable[[], None] | None:
    if fd is None:
        return None

    def ready() -> None:
        with contextlib.suppress(OSError):  # whoever waited is gone
            os.write(fd, b"ready\n")
            os.close(fd)

    return ready


if __name__ == "__main__":
    sys.exit(main())
