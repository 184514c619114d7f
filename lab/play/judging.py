"""What the checkers say about a session: of what has happened, and of what would if all healed now.

    with judges() as pool:
        judgement = pool.submit(judge_plan, session.plan()).result()

The plan of a session is run to its end once more, in a process of its own: the page does not wait
for it. The checkers are asked twice, about the events up to now and about all of them. A promise
that was broken already stays broken; most of the others are open until the end.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress

from msgspec import Struct

from lab.campaign.judged_run import ALL_RULES, JudgedRun, calibrated, limits_for, run_judged
from lab.campaign.worker_pool import worker_pool
from lab.checkers import Judge, Outcome, Verdict
from lab.plan.faults import Plan
from lab.trace.kinds import Phase

REASON_CHARS_MAX = 300
NICE = 5  # the page goes first
TOKEN_CHARS_MAX = 100_000  # of one word of a command line, on Linux 131,072


class Standing(Struct, frozen=True, array_like=True):
    """One promise."""

    rule: str
    name: str
    now: Outcome
    healed: Outcome  # if everything healed now, and the nodes had their time to agree
    reason: str  # of `healed`, or of `now` where that fails; cut where it is long
    witnesses: tuple[int, ...]  # places in the trace of now


class Judgement(Struct, frozen=True):
    """What is said about one moment of a session."""

    at_us: int
    outcome: Outcome  # of the whole, if everything healed now
    standings: tuple[Standing, ...]
    token: str  # replays it; "" if it would be too long


def judge_plan(plan: Plan) -> Judgement:
    """Run it to its end. What breaks in the laboratory itself is a verdict, too: LAB."""
    judged = run_judged(plan)
    events = judged.trace.events
    healed = [event.seq for event in events if event.data == Phase("heal")]
    until = healed[0] if healed else len(events)
    now: dict[str, Verdict] = {}
    with suppress(Exception):  # a checker that fails is the verdict LAB already
        judge = Judge(calibrated(plan, limits_for(plan)))
        judge.see_all(events[:until])
        now = {one.rule: one for one in judge.verdicts()}
    token = str(judged.token)
    return Judgement(
        at_us=plan.faults_us,
        outcome=judged.outcome,
        standings=tuple(
            [_standing(one, now.get(one.rule, one), judged) for one in judged.verdicts]
        ),
        token=token if len(token) <= TOKEN_CHARS_MAX else "",
    )


def _standing(healed: Verdict, now: Verdict, judged: JudgedRun) -> Standing:
    told = now if now.outcome == "fail" else healed
    return Standing(
        rule=healed.rule,
        name=ALL_RULES[healed.rule].name,
        now=now.outcome,
        healed=healed.outcome,
        reason=told.reason[:REASON_CHARS_MAX],
        witnesses=tuple(
            [
                seq
                for seq in told.witnesses
                if judged.trace.events[seq].t_us <= judged.plan.faults_us
            ]
        ),
    )


@contextmanager
def judges() -> Iterator[ProcessPoolExecutor]:
    """One process that judges. It is started at once, and does not outlive this context."""
    with worker_pool(1, os.nice, NICE, finish=False) as pool:
        pool.submit(int).result()
        yield pool
