"""Background scrubbing of a simulated node's journal: the passes of a real node, over the simulated
disk and in simulated time.

    node.storage.scrub_passes  decides what is read next, when a finding counts, how long to pause
    this module                reads: one step at a time, while the process runs

A paused process scrubs nothing; it continues where it stopped.
"""

from typing import Protocol

from lab.sim.context import SimContext
from lab.sim.disk import SimDisk
from node.storage.scan import Hole
from node.storage.scrub_passes import Passes, Scrubbed

STEP_BYTES = 4096
PAUSE_S = 1.0  # between two passes: a run is short
STEPS_MAX = 1_000_000


class ScrubHost(Protocol):
    shared: SimContext
    disk: SimDisk

    @property
    def paused(self) -> bool: ...

    def on_damage(self, holes: list[Hole]) -> None: ...

    def on_pass(self) -> None: ...


class Scrubbing:
    """The scrubbing of one life. Mutable."""

    def __init__(self, home: ScrubHost, scrubbed: Scrubbed) -> None:
        self._home = home
        self._passes = Passes(
            home.disk,
            scrubbed,
            home.shared.plan.disk.scrub_bytes_s,
            step_bytes=STEP_BYTES,
            pause_s=PAUSE_S,
        )
        self._alive = True
        self._rest()

    def _rest(self) -> None:
        agenda = self._home.shared.agenda
        agenda.at(agenda.now_us + int(self._passes.rest_s * 1_000_000), self._step)

    def _step(self, _: object) -> None:
        if not self._alive:
            return
        found = None if self._home.paused else self._passes.step()
        self._rest()
        if found is not None:
            self._home.on_pass()
        if found and self._alive:
            self._home.on_damage(found)

    def stop(self) -> None:
        self._alive = False


def scrubbed_over(disk: SimDisk, scrubbed: Scrubbed) -> list[Hole]:
    """What the scrub finds by the end of the pass that confirms it."""
    passes = Passes(disk, scrubbed, STEP_BYTES, step_bytes=STEP_BYTES)
    for _ in range(STEPS_MAX):
        found = passes.step()
        if found is not None and (found or not passes.confirming):
            return found
    raise AssertionError("a pass does not end")
