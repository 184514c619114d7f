"""Drill of `node.core.pending_acks.PendingAcks`: the acknowledgements that clients wait for.

The model is the list of open acknowledgements. Random steps: add some with a level and a deadline,
advance what is written, durable and copied, fail a write, and let deadlines pass. The answers and
their order must be equal. Left out: where copies are counted (see `receipting`).
"""

from random import Random

from domain.dot import Dot
from lab.drills.beside import holds, same
from node.core.interface import Acked, Unmet
from node.core.pending_acks import Answer, PendingAck, PendingAcks
from node.core.ports import AckLevel

STEPS = 24


def promising(rng: Random) -> None:
    _many(rng)
    _steps(rng)


def _many(rng: Random) -> None:
    """Acknowledgements that are met at once cost little memory, however late their deadline."""
    promises, open_ = PendingAcks(), rng.randint(0, 9)
    for number in range(1, 200):
        one = PendingAck(
            ticket=number,
            number=number,
            dot=Dot("n1", 1, number),
            level=AckLevel.WRITTEN,
            copies=0,
            deadline_ms=10_000 + number,
            text="",
            rules=(),
        )
        promises.add(one)
        promises.reached(number - open_, 0, lambda _: 0)
        noted = sum(map(len, promises._due.values()))
        holds("no more is noted than is open", noted <= 2 * (len(promises) + 1) + 65)


def _steps(rng: Random) -> None:
    promises = PendingAcks()
    waiting: list[PendingAck] = []
    now_ms = number = ticket = written = durable = 0
    copies: dict[Dot, int] = {}
    for _ in range(STEPS):
        now_ms += rng.choice((0, 0, 3, 20))
        match rng.randrange(7):
            case 0 | 1 | 2:
                for _ in range(rng.randint(1, 4)):
                    number, ticket = number + 1, ticket + 1
                    one = _drawn(rng, ticket, number, now_ms)
                    promises.add(one)
                    waiting.append(one)
            case 3:
                written = rng.randint(written, number)
                durable = rng.randint(durable, written)
                for one in waiting:
                    copies[one.dot] = copies.get(one.dot, 0) + rng.randrange(2)
                answers = promises.reached(written, durable, lambda dot: copies.get(dot, 0))
                kept = [one for one in waiting if _holds(one, written, durable, copies)]
                same("kept", answers, [_acked(one) for one in _in_levels(kept)])
                waiting = [one for one in waiting if one not in kept]
            case 4:
                failure = Unmet("storage_error", "the disk failed")
                kept_records = rng.randint(written, number)
                gone = [one for one in waiting if one.number > kept_records]
                answers = promises.failed(kept_records, failure)
                same("failed", answers, [(one.ticket, failure) for one in gone])
                waiting = [one for one in waiting if one not in gone]
                number = kept_records
            case _:
                late = sorted(
                    (one for one in waiting if one.deadline_ms <= now_ms),
                    key=lambda one: one.deadline_ms,
                )
                answers = promises.overdue(now_ms)
                same("overdue", [(a, _code(b), _dot(b)) for a, b in answers],
                     [(one.ticket, "ack_timeout", one.dot) for one in late])  # fmt: skip
                waiting = [one for one in waiting if one not in late]
        _look(promises, waiting)


def _look(promises: PendingAcks, waiting: list[PendingAck]) -> None:
    same("len", len(promises), len(waiting))
    same("wake", promises.wake_at_ms, min((one.deadline_ms for one in waiting), default=None))
    replicated = {one.ticket: one for one in waiting if one.level is AckLevel.REPLICATED}
    same("replicated", promises.replicated, replicated)


def _drawn(rng: Random, ticket: int, number: int, now_ms: int) -> PendingAck:
    level = rng.choice(list(AckLevel))
    wanted = rng.randint(1, 3) if level is AckLevel.REPLICATED else 0
    deadline_ms = now_ms + rng.choice((1, 10, 10, 50))
    return PendingAck(
        ticket=ticket,
        number=number,
        dot=Dot("n1", 1, ticket),
        level=level,
        copies=wanted,
        deadline_ms=deadline_ms,
        text=f"t{ticket}",
        rules=(),
    )


def _holds(one: PendingAck, written: int, durable: int, copies: dict[Dot, int]) -> bool:
    if one.level is AckLevel.WRITTEN:
        return one.number <= written
    enough = one.level is AckLevel.DURABLE or copies.get(one.dot, 0) >= one.copies
    return one.number <= durable and enough


def _in_levels(kept: list[PendingAck]) -> list[PendingAck]:
    """In the order of the answers: weaker levels first."""
    return [one for level in AckLevel for one in kept if one.level is level]


def _acked(one: PendingAck) -> Answer:
    return one.ticket, Acked(one.dot, one.level, one.copies, one.text, one.rules)


def _code(outcome: object) -> str:
    return outcome.code if isinstance(outcome, Unmet) else ""


def _dot(outcome: object) -> Dot | None:
    return outcome.dot if isinstance(outcome, Unmet) else None
