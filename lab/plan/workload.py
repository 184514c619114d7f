"""The workload: the ops that clients will ask for, drawn from a scenario, each with its time."""

from collections.abc import Callable
from random import Random

from lab.plan.disguises import disguised, innocent
from lab.plan.faults import Op
from lab.plan.scenario import Scenario, WorkloadRanges

READ_LAST_US = 50_000  # before the end, each session reads once more
ACK_TIMEOUT_MS = 4000
LONG_CHARS = (2_000, 16_000)
ODD_TEXTS = (
    "Ça va ? Æther & ﬁn",
    "नमस्ते दुनिया",
    "👩‍👩‍👧‍👦 family",
    "e\u0301\u0300\u0323 combining",
    "right\u202eto left\u202c",
    "مرحبا بالعالم",
    "tab\tand\nnewline",
    "0",
    "\u200d.",
)


def ops(scenario: Scenario, nodes: tuple[str, ...], faults_us: int, rng: Random) -> tuple[Op, ...]:
    """All ops, sorted by time. The last read of each session comes long after the others."""
    load = scenario.workload
    sessions = [f"c{number}" for number in range(1, 1 + rng.randint(*load.sessions))]
    homes = {session: rng.choice(nodes) for session in sessions}
    roaming = {session for session in sessions if rng.random() < load.roaming}
    hot = rng.choice(nodes)
    when = _moments(load, faults_us, rng)
    drawn: list[tuple[int, str, str, str]] = []  # when, session, node, action
    actions = ["post"] * rng.randint(*load.posts) + ["read"] * rng.randint(*load.reads)
    actions += [rng.choice(("join", "leave")) for _ in range(rng.randint(*load.comings))]
    for action in actions:
        session = rng.choice(sessions)
        node = rng.choice(nodes) if session in roaming else homes[session]
        if action == "post" and load.hot and rng.random() < load.hot:
            node, session = hot, f"hot-{session}"
        drawn.append((when(), session, node, action))
    drawn.sort()
    found = [
        _op(number, scenario, at_us, session, node, action, len(nodes), rng)
        for number, (at_us, session, node, action) in enumerate(drawn, start=1)
    ]
    last_us = faults_us + 1_000_000 + scenario.liveness_ms * 1000 - READ_LAST_US
    for session in sessions:
        number = len(found) + 1
        found.append(
            Op(
                id=number,
                at_us=last_us,
                session=session,
                node=homes[session],
                action="read",
                author=session,
            )
        )
    return tuple(found)


def _moments(load: WorkloadRanges, faults_us: int, rng: Random) -> Callable[[], int]:
    """A way to draw times: evenly, or in a few bursts."""
    first_us = 200_000
    if rng.random() >= load.bursts:
        return lambda: rng.randint(first_us, faults_us)
    bursts = [rng.randint(first_us, faults_us) for _ in range(rng.randint(2, 5))]
    return lambda: min(rng.choice(bursts) + int(rng.expovariate(1 / 100_000)), faults_us)


def _op(
    number: int,
    scenario: Scenario,
    at_us: int,
    session: str,
    node: str,
    action: str,
    nodes_count: int,
    rng: Random,
) -> Op:
    load = scenario.workload
    if action != "post":
        return Op(
            id=number,
            at_us=at_us,
            session=session,
            node=node,
            action=action,  # type: ignore[arg-type]
            author=session,
        )
    text = f"message {number} of {session}"
    draw = rng.random()
    if draw < load.long_text:
        text += " " + "x" * rng.randint(*LONG_CHARS)
    elif draw < load.long_text + load.odd_text:
        text = f"{rng.choice(ODD_TEXTS)} {number}"
    elif draw < load.long_text + load.odd_text + load.banned and scenario.rules:
        text += f" {rng.choice(rng.choice(scenario.rules).words)}"
    elif load.disguised and scenario.rules and rng.random() < load.disguised:
        word = rng.choice(rng.choice(scenario.rules).words)
        text = (innocent if rng.random() < 0.3 else disguised)(word, rng)
    draw = rng.random()
    copies = 0
    ack = "durable"
    if draw < load.written or scenario.durability == ("none",):
        ack = "written"
    elif draw < load.written + load.replicated and nodes_count > 1:
        ack, copies = "replicated", rng.randint(1, min(2, nodes_count - 1))
    return Op(
        id=number,
        at_us=at_us,
        session=session,
        node=node,
        action="post",
        author=session,
        text=text,
        ack=ack,  # type: ignore[arg-type]
        copies=copies,
        timeout_ms=ACK_TIMEOUT_MS,
    )
