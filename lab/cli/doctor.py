"""The command `chatlab doctor`: checks whether this machine and this installation can run a
cluster. Each check is one line with its result.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import Json, Settings, emit, settings_of
from lab.cluster.key_checks import Finding, encryption, key_files, peers_keys
from lab.terminal.errors import Problem

if TYPE_CHECKING:
    from node.config.cluster_file import ClusterConfig

FILES_MIN = 256
FSYNC_SLOW_MS = 50.0


def doctor(
    context: typer.Context,
    json: Json = False,
    fsyncs: Annotated[int, typer.Option(hidden=True, min=1, max=1000)] = 20,
) -> None:
    """Check Python, libzmq, the packages, ports, permissions, limits, keys and the disk."""
    settings = settings_of(context)
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("python", _python),
        ("packages", _packages),
        ("libzmq", _libzmq),
        ("protobuf", _protobuf),
        ("files", _files),
        ("cluster file", lambda: _cluster_file(settings)),
        ("state folder", lambda: _state(settings)),
        ("ports", lambda: _ports(settings)),
        ("key files", lambda: _of_keys(settings, key_files)),
        ("peers' keys", lambda: _of_keys(settings, peers_keys)),
        ("encryption", lambda: _of_keys(settings, encryption)),
        ("disk", lambda: _disk(settings, fsyncs)),
    ]
    bad = 0
    for name, check in checks:
        try:
            good, text = check()
        except Problem as problem:
            good, text = False, str(problem)
        except OSError as error:
            from node.config.os_errors import complaint

            good, text = False, complaint(error)
        except Exception as error:  # a check that cannot be made is a finding of its own
            good, text = False, f"{type(error).__name__}: {error}"
        bad += not good
        if json:
            emit({"check": name, "ok": good, "text": text})
        else:
            _show(settings, name, good, text)
    if bad:
        raise Problem(f"{bad} of {len(checks)} checks failed: see the lines above")


def _show(settings: Settings, name: str, good: bool, text: str) -> None:
    from lab.terminal.display import display_safe

    mark = settings.paint("ok  ", "green") if good else settings.paint("FIX ", "red")
    print(f"{mark} {name:<13} {display_safe(text)}")


def _python() -> Finding:
    version = sys.version.split()[0]
    good = sys.version_info >= (3, 11)
    return good, f"{version}" if good else f"{version} is too old: 3.11 or newer is needed"


def _packages() -> Finding:
    """The four packages have common names: another distribution may shadow one of them."""
    import importlib.util

    from lab.cli.common import is_compiled

    folders: dict[str, str] = {}
    for name in ("domain", "gossip", "node", "lab"):
        spec = importlib.util.find_spec(name)
        places = list(spec.submodule_search_locations or []) if spec is not None else []
        folders[name] = str(Path(places[0]).resolve().parent) if places else "missing"
    if len(set(folders.values())) == 1 and "missing" not in folders.values():
        how = ", compiled" if is_compiled() else ""
        return True, f"domain, gossip, node and lab come from {folders['lab']}{how}"
    found = ", ".join(f"{name}: {folder}" for name, folder in folders.items())
    return False, f"the packages come from different places ({found}): use an own environment"


def _libzmq() -> Finding:
    import zmq

    version = f"libzmq {zmq.zmq_version()}, pyzmq {zmq.pyzmq_version()}"
    if zmq.zmq_version_info() < (4, 3):
        return False, f"{version} is too old: reinstall pyzmq"
    if not zmq.has("ipc"):
        return False, f"{version} has no ipc transport: reinstall pyzmq from a wheel"
    curve = "with CURVE" if zmq.has("curve") else "without CURVE: encryption will not work"
    return bool(zmq.has("curve")), f"{version}, {curve}"


def _protobuf() -> Finding:
    from google.protobuf import __version__
    from google.protobuf.internal import api_implementation

    kind = api_implementation.Type()
    return kind == "upb", f"protobuf {__version__}, {kind}"


def _files() -> Finding:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    good = soft >= FILES_MIN or soft == resource.RLIM_INFINITY
    return good, f"{soft} open files per process" + ("" if good else f": ulimit -n {FILES_MIN}")


def _cluster_file(settings: Settings) -> Finding:
    from lab.client.location import cluster_file

    file = cluster_file(settings.file)
    if settings.file is None and not file.exists():
        return True, "none here: `chatlab cluster up` generates a cluster"
    place = settings.place()
    return True, f"{place.file}: {place.name}, {len(place.nodes)} nodes"


def _state(settings: Settings) -> Finding:
    """Written by its owner only, and short enough for the sockets in it."""
    import os
    import stat

    from lab.client.location import STATE_DIR, cluster_file

    has_file = cluster_file(settings.file).exists()
    root = Path(settings.place().root if has_file else STATE_DIR).absolute()
    folder = next(at for at in (root, *root.parents) if at.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        return False, f"cannot write to {folder}: chmod or chown it"
    if folder == root and stat.S_IMODE(root.stat().st_mode) & 0o077:
        return False, f"{root} is open to other users: chmod 700 {root}"
    return True, f"{root} {'is private' if folder == root else 'can be made'}"


def _ports(settings: Settings) -> Finding:
    """Every address is free, or held by a running node of this cluster."""
    import socket

    from lab.client.location import cluster_file

    if not cluster_file(settings.file).exists():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
        return True, "the loopback interface has free ports"
    from lab.cluster.addresses import addresses_of, is_free
    from lab.cluster.cluster import Cluster

    place = settings.place()
    running = set(Cluster(place).running())
    taken = [
        f"{name} {address}"
        for name, address in addresses_of(place).items()
        if name not in running and not is_free(address)
    ]
    if taken:
        return False, f"taken by another process: {', '.join(taken)}; change `listen` or stop it"
    return True, f"free for every node that is down ({len(running)} running)"


def _of_keys(settings: Settings, check: "Callable[[ClusterConfig, Path], Finding]") -> Finding:
    from lab.client.location import cluster_file, keys_in
    from node.config.cluster_file import load

    if not cluster_file(settings.file).exists():
        return True, "no cluster file, so no keys: its nodes listen on this machine only"
    file = Path(settings.place().file)
    return check(load(file), keys_in(file))


def _disk(settings: Settings, count: int) -> Finding:
    """What one durable message costs here."""
    import os
    import tempfile
    import time

    from lab.client.location import cluster_file

    has_file = cluster_file(settings.file).exists()
    root = Path(settings.place().root if has_file else ".").absolute()
    folder = next(at for at in (root, *root.parents) if at.exists())
    sync = getattr(os, "fdatasync", os.fsync)
    with tempfile.TemporaryFile(dir=folder) as file:
        began = time.perf_counter()
        for _ in range(count):
            os.write(file.fileno(), b"x" * 150)
            sync(file.fileno())
        took_ms = (time.perf_counter() - began) * 1000 / count
    text = f"one fdatasync takes {took_ms:.2f} ms in {folder}"
    slow = took_ms > FSYNC_SLOW_MS
    return not slow, text + (": use `durability: interval`, or another disk" if slow else "")
