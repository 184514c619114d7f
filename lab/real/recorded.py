"""Recorded runs: the trace of nodes that ran without a driver, from their recordings alone.

With `trace: true` in the cluster file each life of a node leaves a recording. Their replay gives
the events of nodes and packets. What clients asked, and which faults were injected, is not known:
checkers that need it say so.
"""

from pathlib import Path

from msgspec import Struct

from lab.plan.faults import Plan
from lab.real.draft_event import DraftLog
from lab.real.driver import DriverRecord
from lab.real.trace_merge import merge
from lab.trace.trace import Trace
from node.recording import format as raw

_TIMED = (raw.Booted, raw.Turn, raw.Links, raw.Said, raw.Failed, raw.Ended)
NAME = "recorded"  # of its plan: no scenario


class Recorded(Struct, frozen=True):
    """What is left of a run; as `lab.campaign.judged_run.Run`."""

    plan: Plan
    trace: Trace
    core_failures: tuple[str, ...]
    incomplete: tuple[str, ...]  # recordings that end before their life does, and why


def recorded_run(folder: Path) -> Recorded:
    """Raises RecordingError or OSError where there is nothing to read."""
    paths = raw.recordings_in(folder)
    if not paths:
        raise raw.RecordingError(f"{folder}: there are no recordings (*{raw.SUFFIX}) below it")
    recordings = [raw.read_recording(path) for path in paths]
    times = [
        one.t_ns for recording in recordings for one in recording.entries if isinstance(one, _TIMED)
    ]
    if not times:
        raise raw.RecordingError(f"{folder}: no recording has more than the begin of a life")
    began_ns, end_ns = min(times), max(times) + 1000
    nodes = tuple(sorted({recording.began.node for recording in recordings}))
    plan = Plan(
        scenario=NAME,
        seed=0,
        nodes=nodes,
        faults_us=max((end_ns - began_ns) // 1000, 1),
        liveness_us=1,
    )
    seen = DriverRecord(
        log=DraftLog(),
        began_ns=began_ns,
        heal_ns=end_ns,
        liveness_ns=end_ns,
        end_ns=end_ns,
        starts=[],
        kills=[],
        fired={},
        spans=[],
        recordings=paths,
        roots={},
    )
    merged = merge(plan, seen, recordings, "normal", ())
    incomplete = tuple([f"{one.path}: {one.why}" for one in recordings if not one.complete])
    return Recorded(plan, merged.trace, (), incomplete)
