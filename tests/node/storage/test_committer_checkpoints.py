"""The committer writes checkpoints between commits, and never at their expense."""

from typing import cast

from node.core.checkpoint import Checkpoint
from node.storage.group_commit import CHECKPOINTS_MAX
from node.storage.journal import Journal
from tests.node.storage.test_committer import WAIT_S, Bench


def begun() -> Bench:
    bench = Bench()
    bench.committer.start()
    return bench


class Keeping(Journal):
    """Remembers what it was asked to keep."""

    kept: list[Checkpoint]
    refused: Checkpoint | None = None

    def keep(self, checkpoint: Checkpoint) -> str:
        self.kept.append(checkpoint)
        return "the disk is full" if checkpoint is self.refused else ""


def test_checkpoints_are_written_when_there_is_nothing_else_to_do() -> None:
    bench = begun()
    keeping = cast("Keeping", bench.journal)
    keeping.__class__, keeping.kept = Keeping, []
    bench.committer.keep([])
    first, second, third = (cast("Checkpoint", object()) for _ in range(3))
    keeping.refused = third
    bench.committer.keep([first, second])
    bench.submit(2)
    bench.progress.durable(2)
    bench.committer.keep([third])
    assert bench.committer.stop()
    assert keeping.kept == [first, second, third]
    assert bench.unkept == ["the disk is full"]
    bench.committer.keep([first])  # the next start makes it
    assert bench.unkept == ["the disk is full"]


def test_more_checkpoints_than_can_wait_are_dropped_and_told() -> None:
    bench = begun()
    keeping = cast("Keeping", bench.journal)
    keeping.__class__, keeping.kept = Keeping, []
    bench.storage.open.clear()
    bench.submit(1)
    assert bench.storage.waiting.wait(WAIT_S)
    many = [cast("Checkpoint", object()) for _ in range(CHECKPOINTS_MAX + 1)]
    bench.committer.keep(many)
    assert bench.unkept == ["too many checkpoints wait to be written"]
    bench.storage.open.set()
    bench.progress.durable(1)
    bench.submit(1)
    bench.progress.durable(2)
    bench.committer.stop(drain=False)
    assert keeping.kept == many[:-1][: len(keeping.kept)]
