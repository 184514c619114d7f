"""Recorded runs: the trace of nodes that ran without a driver, from their recordings alone.

With `trace: true` in the cluster file each life of a node leaves a recording. Their replay gives
the events of nodes and packets, and what clients asked and were answered, each as a session of its
own. What clients read, and which faults were injected, is not known: checkers that need it say so.
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from lab.plan.faults import Op, Plan
from lab.real.draft_event import Draft, DraftLog
from lab.real.driver import DriverRecord
from lab.real.trace_merge import merge
from lab.sim.conformance import Player
from lab.trace.kinds import Data, Fail, Info, Invoke, Ok
from lab.trace.trace import Trace
from node.core.interface import Acked, Denied, Outcome
from node.core.ports import AckLevel
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
    log, ops = _clients(recordings, began_ns)
    plan = Plan(
        scenario=NAME,
        seed=0,
        nodes=nodes,
        faults_us=max((end_ns - began_ns) // 1000, 1),
        liveness_us=1,
        ops=tuple(ops),
    )
    seen = DriverRecord(
        log=log,
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


def _clients(recordings: Sequence[raw.Recording], began_ns: int) -> tuple[DraftLog, list[Op]]:
    """What clients asked of nodes, and the answers; the former also as a plan has it."""
    log, ops = DraftLog(), list[Op]()
    for recording in recordings:
        if not any(type(one) is raw.Booted for one in recording.entries):
            continue
        asked: dict[int, tuple[Op, Draft]] = {}  # by ticket
        node = recording.began.node
        for entry, outbox in Player(recording).drains():
            if type(entry) is not raw.Turn or outbox is None:
                continue
            for item in entry.inputs:
                if type(item) is raw.SubmitIn:
                    session = f"{node}.{recording.began.incarnation}.{item.ticket}"
                    op = _op(len(ops) + 1, (entry.t_ns - began_ns) // 1000, session, node, item)
                    ops.append(op)
                    asked[item.ticket] = op, log.add(entry.t_ns, node, _invoke(op))
            for ticket, outcome in outbox.reply:
                if ticket in asked:  # a nanosecond later: an answer follows what made it true
                    op, invoke = asked.pop(ticket)
                    log.add(entry.t_ns + 1, node, _answer(op.id, op.session, outcome), invoke)
    return log, ops


def _op(number: int, at_us: int, session: str, node: str, item: raw.SubmitIn) -> Op:
    return Op(
        id=number,
        at_us=at_us,
        session=session,
        node=node,
        action=item.action,
        author=item.author,
        text=item.text,
        ack=item.ack,  # type: ignore[arg-type]  # the replica took it for one of these
        copies=item.copies,
        timeout_ms=item.timeout_ms,
    )


def _invoke(op: Op) -> Invoke:
    ack = f"replicated:{op.copies}" if op.ack == "replicated" else op.ack
    return Invoke(
        op=op.id, session=op.session, action=op.action, author=op.author, text=op.text, ack=ack
    )


def _answer(op: int, session: str, outcome: Outcome) -> Data:
    if type(outcome) is Acked:
        copies = f":{outcome.copies}" if outcome.level is AckLevel.REPLICATED else ""
        return Ok(
            op=op,
            session=session,
            ref=str(outcome.dot),
            level=f"{outcome.level}{copies}",
            text=outcome.text,
            rules=outcome.rules,
        )
    if type(outcome) is Denied:
        return Fail(op, session, outcome.by, outcome.reason)
    if outcome.dot is None:
        return Fail(op, session, outcome.code, outcome.reason)
    return Info(op, session, outcome.code, outcome.reason, str(outcome.dot))
