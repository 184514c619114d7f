"""Checks of a stopped cluster: which files an orderly stop leaves on the disk, and what the nodes
wrote to their logs.

`report` is called with one line of text for each thing that is wrong.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from lab.client.location import ClusterLocation, NodeLocation
from lab.cluster.launcher_state import read_launched
from lab.real.repair_checks import mend
from node.process.structured_log import NOTES, RESERVED
from node.storage.files import StorageError
from node.storage.verify import examine, inspect

LEFT = {"journal", "node.jsonl", "node.jsonl.1", "stderr.txt", "trace"}
CLUSTER_LEFT = {"nodes.json", "nodes.json.lock", "launched.json", "launcher.jsonl"}
CLUSTER_LEFT |= {"launcher.stderr", "launcher.lock", "cluster.json"}
UNWANTED = {
    "append_failed", "checkpoint_unwritten", "checkpoints_doubted", "core_crashed", "core_restarts",
    "journal_unread", "keys_unreadable", "log_lines_lost", "log_not_reopened", "node_gave_up",
    "recording_stopped", "storage_failed", "view_failed", "worker_crashed", "worker_gave_up",
    "worker_restarted", "worker_stop_failed", "writes_refused",
}  # fmt: skip
SELDOM = {"frame_rejected", "hung_up", "key_refused", "packets_dropped"}
SELDOM_S = 9.0  # at least between two notes about the same
TELEMETRY_S = 10.0  # a busy life that is longer has some
WORKERS = {"journal", "transport", "feed", "control", "telemetry", "scrub"}
Reporter = Callable[[str], None]


def look(
    place: ClusterLocation,
    lives: Mapping[str, int],
    killed: Mapping[str, int],
    report: Reporter,
) -> None:
    """Run the checks. `lives`: how many processes each node had; `killed`: how many ended by kill
    -9.
    """
    known = CLUSTER_LEFT | {Path(at.journal_id).name for at in place.nodes.values()}
    odd = {path.name for path in Path(place.root).iterdir()} - known - set(place.nodes)
    if odd:
        report(f"the cluster leaves {sorted(odd)}")
    launched = read_launched(place.launched_file)
    for name, at in place.nodes.items():
        one = launched.nodes.get(name)
        if one is None or (one.state, one.exit, one.starts) != ("down", "exited 0", lives[name]):
            report(f"the launcher says of {name} {one}, which had {lives[name]} lives")
        odd = {path.name for path in Path(at.dir).iterdir()} - LEFT
        if odd:
            report(f"{name} leaves {sorted(odd)}")
        errors = Path(at.stderr_file)
        if errors.exists() and errors.stat().st_size:
            report(f"{name} complains: {errors.read_text(errors='replace')[:200]}")
        if Path(at.dir).stat().st_mode & 0o077:
            report(f"the folder of {name} is open to others")
        _check_journal(at, report)
        if name == min(place.nodes):
            mend(at, report)
        _check_log(at, lives[name], killed.get(name, 0), report)


def _check_journal(at: NodeLocation, report: Reporter) -> None:
    """It is whole, and both ways of reading it count the same."""
    try:
        journal = examine(Path(at.journal_dir))
        items = list(inspect(Path(at.journal_dir)))
    except StorageError as error:
        report(f"the journal of {at.name} cannot be read: {error}")
        return
    for finding in journal.findings:
        if finding.severity != "note":
            report(f"the journal of {at.name} is damaged: {finding}")
    kinds = [str(one.get("kind", one.get("type", ""))) for one in items]
    if journal.node != at.name:
        report(f"the journal of {at.name} says that it is of {journal.node!r}")
    if journal.records < journal.events + journal.epochs:
        report(f"the journal of {at.name} has {journal.records} records, {journal.events} events")
    if len(items) < journal.records:
        report(f"the journal of {at.name} shows {len(items)} of {journal.records}: {set(kinds)}")


# --- the log --------------------------------------------------------------------------------------


def lines_of(at: NodeLocation) -> list[dict[str, object]]:
    """All lines, of the file that was moved aside as well. Raises ValueError."""
    log = Path(at.log_file)
    files = [path for path in (log.with_name(f"{log.name}.1"), log) if path.exists()]
    return [json.loads(line) for path in files for line in path.read_bytes().splitlines()]


def _check_log(at: NodeLocation, lives: int, killed: int, report: Reporter) -> None:
    try:
        lines = lines_of(at)
    except ValueError as error:
        report(f"the log of {at.name} has a line that is no JSON: {error}")
        return
    wrong = _odd_lines(at, lines)
    events = [str(line.get("event")) for line in lines]
    for event, wanted in (
        ("node_started", lives),
        ("journal_opened", lives),
        ("node_ready", lives),
        ("node_stopping", lives - killed),
        ("node_stopped", lives - killed),
    ):
        if events.count(event) != wanted:
            wrong.append(f"{events.count(event)} lines of {event} instead of {wanted}")
    for event in sorted(UNWANTED & set(events)):
        first = lines[events.index(event)]
        wrong.append(f"{event}: {json.dumps(first)[:200]}")
    starts = [at for at, event in enumerate(events) if event == "node_started"]
    for begin, end in zip(starts, [*starts[1:], len(events)], strict=True):
        wrong += _check_life(lines[begin:end])
    for text in wrong[:5]:
        report(f"the log of {at.name} has {text}")


def _odd_lines(at: NodeLocation, lines: Sequence[dict[str, object]]) -> list[str]:
    wrong: list[str] = []
    before = ""
    for line in lines:
        stamp = str(line.get("ts"))
        if tuple(line)[:5] != RESERVED or line["node"] != at.name:
            wrong.append(f"a line that begins {list(line.items())[:5]}")
        elif line["event"] not in NOTES:
            wrong.append(f"a note {line['event']!r} that nobody knows")
        elif stamp < before:
            wrong.append(f"a line of {stamp} after one of {before}")
        before = stamp
    return wrong


def _check_life(lines: Sequence[dict[str, object]]) -> list[str]:
    """One life: opened, workers, ready; and the end in order, if it came to that."""
    events = [str(line["event"]) for line in lines]
    order = [one for one in events if one in ("node_started", "journal_opened", "node_ready",
                                              "node_stopping", "node_stopped")]  # fmt: skip
    whole = ["node_started", "journal_opened", "node_ready", "node_stopping", "node_stopped"]
    wrong = [] if order == whole[: len(order)] else [f"a life that goes {order}"]
    workers = {str(line["worker"]) for line in lines if line["event"] == "worker_started"}
    if "node_ready" in events and workers - {"doors"} != WORKERS:
        wrong.append(f"a life with the workers {sorted(workers)}")
    busy = {"node_stopping", "events_posted"} <= set(events)
    if busy and "telemetry" not in events:
        ready, end = (_time_s(lines[events.index(one)]) for one in ("node_ready", "node_stopping"))
        if end - ready > TELEMETRY_S:
            wrong.append(f"no telemetry in a life of {end - ready:.1f} s")
    told_s: dict[tuple[object, ...], float] = {}
    for line in lines:
        if line["event"] in SELDOM:
            about = tuple([line.get(name) for name in ("event", "door", "reason", "peer", "name",
                                                       "fingerprint")])  # fmt: skip
            now_s = _time_s(line)
            if now_s - told_s.get(about, 0.0) < SELDOM_S:
                wrong.append(f"a note that comes too often: {line}")
            told_s[about] = now_s
        if line["event"] == "worker_started" and line.get("restarts") != 0:
            wrong.append(f"a first start that counts: {line}")
        elif line["event"] == "node_stopped" and line.get("clean") is not True:
            wrong.append(f"a stop that is not clean: {line}")
        elif line["event"] == "node_stopping" and line.get("reason") != "SIGTERM":
            wrong.append(f"a stop for another reason: {line}")
        elif line["event"] == "node_ready" and not str(line.get("listen")).startswith("tcp://"):
            wrong.append(f"a node that does not say where it listens: {line}")
    return wrong


def _time_s(line: dict[str, object]) -> float:
    return datetime.fromisoformat(str(line["ts"])).timestamp()
