"""Drills: no part of the sound core differs from its model, and each drill sees what is planted."""

from collections.abc import Callable
from random import Random

import msgspec
import pytest

from domain.clock import HybridClock
from domain.history import PagedHistory
from domain.moderation.matcher import Matcher
from domain.seqset import SeqSet
from gossip import wire
from gossip.engine import Engine
from gossip.frontier import Frontier
from gossip.membership import Membership
from gossip.places import Places
from gossip.receipts import Receipts
from lab.campaign.judged_run import opened, run_judged
from lab.drills import DRILLS, EACH_RUN, differences, drilled, verdicts
from lab.drills.beside import Difference, same
from node.config import cluster_file as config
from node.control import server as control
from node.control.ack_levels import Ack
from node.core.commit_tracker import CommitTracker
from node.core.inbox import Lane
from node.core.pending_acks import PendingAcks
from node.core.ports import AckLevel
from node.core.write_state import WriteState
from node.network.link_faults import FaultTable
from node.network.penalties import Penalties
from node.process.restart_budget import RestartBudget
from node.recording.recorder import Recorder
from node.security.key_files import Trusted
from node.sockets.passage import ByteMeter
from node.storage import checkpoint_files as checkpoints
from node.storage import codec, frames, recovery
from node.storage import verify as inspect
from node.storage.files import MemoryStorage

SEEDS = 40


@pytest.mark.parametrize("name", DRILLS)
def test_the_sound_core_does_what_its_models_do(name: str) -> None:
    assert [drilled(name, Random(seed)) for seed in range(SEEDS)] == [""] * SEEDS


def _credit(lane: Lane, value: int) -> None:
    """As if nothing were ever taken from it."""
    CREDITS[id(lane)] = max(CREDITS.get(id(lane), 0), value)


CREDITS: dict[int, int] = {}
Planted = tuple[object, str, object]
PLANTED: dict[str, Planted] = {
    "admitting": (Trusted, "owner", lambda *_: None),
    "believing": (Membership, "tick", lambda *_: None),
    "blocks": (codec, "_VIA_NAMES", {}),
    "committing": (WriteState, "sent", lambda *_: None),
    "configuring": (config, "_check_nodes", lambda *_: None),
    "controlling": (control, "parse_ack", lambda *_: Ack(AckLevel.WRITTEN)),
    "deciding": (HybridClock, "restore", lambda *_: None),
    "directories": (MemoryStorage, "sync", lambda *_: None),
    "entries": (codec, "_check_range", lambda *_: None),
    "examining": (inspect, "compare", lambda *_: None),
    "exchanging": (Engine, "_on_stored", lambda *_: None),
    "framing": (frames, "HEADER_BYTES", 41),
    "holding": (Frontier, "chain_hash_at", lambda *_: b""),
    "inboxes": (Lane, "credit", property(lambda lane: CREDITS.get(id(lane), 0), _credit)),
    "journals": (recovery, "stopped_clean", lambda *_: False),
    "links": (FaultTable, "whole", lambda *_: True),
    "living": (CommitTracker, "invisible", lambda *_: []),
    "packets": (wire, "_check_folds", lambda _: None),
    "passing": (ByteMeter, "feed", lambda *_: 0),
    "promising": (PendingAcks, "failed", lambda *_: []),
    "ranges": (SeqSet, "discard", lambda *_: False),
    "receipting": (Receipts, "owe", lambda *_: None),
    "recording": (Recorder, "_look_at_links", lambda *_: None),
    "sealing": (checkpoints, "load", lambda *_: None),
    "sending": (Penalties, "silenced", lambda *_: False),
    "sharing": (Places, "write", lambda *_: None),
    "supervising": (RestartBudget, "renew", lambda *_: None),
    "timelines": (PagedHistory, "author", lambda *_: "ann"),
    "verdicts": (Matcher, "whole", lambda *_: []),
}


@pytest.mark.parametrize("name", DRILLS)
def test_each_drill_sees_what_is_planted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of, attribute, value = PLANTED[name]
    monkeypatch.setattr(of, attribute, value)
    told = [drilled(name, Random(seed)) for seed in range(SEEDS)]
    assert any(told)
    assert not any("\n" in one for one in told)


def test_an_exception_out_of_a_part_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("no\nparts")

    monkeypatch.setattr(SeqSet, "add", fails)
    assert drilled("ranges", Random(1)) == "raised ZeroDivisionError: no parts"


def test_a_run_is_accused_of_what_its_drills_find(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = run_judged(opened("calm"), 7)
    assert (sound.outcome, [v.outcome for v in sound.verdicts if v.rule == "C21"]) == (
        "pass",
        ["pass"],
    )

    def planted(_: Random) -> None:
        raise Difference("it does not add up")

    for name in DRILLS:
        monkeypatch.setitem(DRILLS, name, planted)
    judged = run_judged(opened("calm"), 7)
    assert judged.failed is not None
    assert judged.failed.rule == "C21"
    assert judged.failed.reason.endswith(": it does not add up")
    assert judged.failed.figures["violations"] == EACH_RUN


def test_every_drill_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = dict.fromkeys(DRILLS, 0)

    def counted(name: str) -> Callable[[Random], None]:
        def drill(_: Random) -> None:
            counts[name] += 1

        return drill

    for name in DRILLS:
        monkeypatch.setitem(DRILLS, name, counted(name))
    for seed in range(400):
        assert list(differences(Random(seed))) == []
    assert sum(counts.values()) == 400 * EACH_RUN
    assert min(counts.values()) > 8


def test_verdicts_are_as_they_were_looked_at(request: pytest.FixtureRequest) -> None:
    """Each of the file, and not only what a seed draws."""
    lines: list[bytes] = []
    for at, judged in enumerate(verdicts.read()):
        rows = [
            verdicts.row_of(row.text, verdicts.moderator(at).judge(row.text)) for row in judged.rows
        ]
        lines += map(msgspec.json.encode, [judged.policy, *rows])
        if not request.config.getoption("rewrite", default=False):
            assert rows == judged.rows
    if request.config.getoption("rewrite", default=False):
        verdicts.FILE.write_bytes(b"\n".join([*lines, b""]))


def test_a_difference_reads_the_same_in_every_process() -> None:
    """It goes into the trace, and the trace into the token: no order of a set may show."""
    words = {f"w{n}" for n in range(6)}
    told = "{" + ", ".join(f"'w{n}'" for n in range(6)) + "}"
    for part, text in (
        (words, told),
        (frozenset(words), told),
        ([words], f"[{told}]"),
        ({1: (words, 2)}, f"{{1: ({told}, 2)}}"),
        (set(), "set()"),
    ):
        with pytest.raises(Difference) as error:
            same("words", part, 7)
        assert str(error.value) == f"words: {text}, and by the model 7"
