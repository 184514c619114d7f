"""That these runs and these checks can fail: planted faults in the core are seen.

Each mutant is planted for one test, and must be found within so many seeds of one scenario. The
scoreboard of mutants, with rates, is `lab mutants`; here are the few that the simulator itself
must be able to show, or it simulates nothing.
"""

from collections.abc import Callable

import pytest

from domain.events import Event
from gossip.engine import Engine
from gossip.entry import Entry
from lab.plan.scenario import named
from lab.sim.disk import SimDisk
from lab.sim.world import run
from node.core.commit_tracker import CommitTracker
from node.core.emitter import Emitter
from node.core.interface import Persisted
from node.core.pending_acks import PendingAcks
from node.storage import frames, recovery
from node.storage.headers import Identity
from node.storage.journal import Journal
from node.storage.scan import ScanResult
from tests.lab.sim.judged import wrong

Plant = Callable[[pytest.MonkeyPatch], None]


def ack_before_sync(patch: pytest.MonkeyPatch) -> None:
    persisted, kept = CommitTracker.persisted, PendingAcks.reached

    def hasty(self: CommitTracker, progress: Persisted, *, always: bool) -> bool:
        return persisted(self, progress, always=False)

    patch.setattr(CommitTracker, "persisted", hasty)
    patch.setattr(
        PendingAcks, "reached", lambda self, seen, _, copies: kept(self, seen, seen, copies)
    )


def no_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimDisk, "sync", lambda self, name: None)


def no_new_epoch(patch: pytest.MonkeyPatch) -> None:
    def reason(identity: Identity | None, survey: ScanResult, place: str) -> str:
        return "new log" if survey.epoch is None else ""

    patch.setattr(recovery, "epoch_reason", reason)


def no_checksum(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(frames, "crc32c", lambda data: 7)


def nothing_taken_back(patch: pytest.MonkeyPatch) -> None:
    def keep(self: Emitter, entry: Entry, event: Event) -> None:
        return

    patch.setattr(Emitter, "take_back", keep)


def no_sync_of_the_directory(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimDisk, "sync_dir", lambda self: None)


def failed_sync_believed(patch: pytest.MonkeyPatch) -> None:
    """What a process left whose sync had failed: once it was only synced again."""
    patch.setattr(Journal, "_write_anew", lambda self, name: self._storage.sync(name))


def nobody_called(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Engine, "_call", lambda self, peer: None)


@pytest.mark.parametrize(
    ("plant", "scenario", "seeds"),
    [
        (ack_before_sync, "power-cuts", 150),
        (no_sync, "power-cuts", 10),
        (no_new_epoch, "power-cuts", 400),
        (no_checksum, "bit-rot", 10),
        (nothing_taken_back, "power-cuts", 150),
        (no_sync_of_the_directory, "power-cuts", 50),
        (failed_sync_believed, "power-cuts", 50),
        (nobody_called, "lossy", 10),
    ],
)
def test_a_planted_fault_is_found(
    monkeypatch: pytest.MonkeyPatch, plant: Plant, scenario: str, seeds: int
) -> None:
    plant(monkeypatch)
    seed = next((seed for seed in range(seeds) if wrong(run(named(scenario), seed))), None)
    assert seed is not None
    monkeypatch.undo()
    assert wrong(run(named(scenario), seed)) == []
