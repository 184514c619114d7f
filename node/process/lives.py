"""Decides what follows when a life of a node ends: another life, or the end of the process. Pure.

    Life ends -> `after` -> Again (so soon, on the journal as it is then) or Over (the process ends)

The process drives this (`node.process.lifecycle`), and so does each host of the simulator.

Rules
- Only the first life of a process uses checkpoints. After any failure the next life reads the whole
  journal.
- A life that ended in order because the cluster file changed is followed by one that uses
  checkpoints if it did so itself.
- Damage that was found while the node ran ends a life in order, and the next opening sets it aside.
  In mode strict an opening would refuse while the node works, so there the damage is only reported.
- A core that failed begins again within a budget, after a wait.
- A process that was asked to stop begins no other life.
"""

from typing import final

from msgspec import Struct

from node.process.restart_budget import RestartBudget, one_line
from node.process.settings import STORAGE_CODE, Ending
from node.storage.recovery import Mode
from node.storage.scan import Hole
from node.storage.scrub_passes import Scrubbed


@final
class Again(Struct, frozen=True):
    """Another life begins."""

    wait_s: float | None = None  # a core failed: after so long; None: at once


@final
class Over(Struct, frozen=True):
    """The process ends like this."""

    ending: Ending
    gave_up: bool = False  # there were too many lives


class Lives:
    """Of one process. Mutable."""

    def __init__(self, budget: RestartBudget) -> None:
        self._budget = budget
        self.trust = True  # whether the life that begins believes checkpoints
        self.scrubbed = Scrubbed()  # damage that is known, through all lives

    def allow(self, budget: RestartBudget) -> None:
        """So many cores may fail from now on."""
        self._budget = budget

    def after(self, ending: Ending, now_s: float, asked: str = "") -> Again | Over:
        """`asked`: why the process is to end, if it is."""
        self.trust = self.trust and ending.reload
        if asked:
            return Over(stopped_instead(ending, asked))
        if ending.reopen:
            return Again()
        if ending.crash is None:
            return Over(ending)
        wait_s = self._budget.crashed(now_s)
        if wait_s is None:
            what = f"the core failed too often: {one_line(ending.crash)}"
            return Over(Ending(what, 1), gave_up=True)
        return Again(wait_s)


def reopening(holes: list[Hole], mode: Mode) -> str:
    """Why the journal is to be opened anew for what a scrub found; "": the node goes on."""
    if mode == "strict":
        return ""
    return f"{holes[0].name} is damaged at offset {holes[0].offset}"


def not_restored(error: Exception, recalled: int, unclean: str) -> Ending | None:
    """The journal could not be restored. None: without checkpoints, another try is no better."""
    return Ending(one_line(error), reopen=True, unclean=unclean) if recalled else None


def stopped_instead(ending: Ending, asked: str) -> Ending:
    """How a process ends that was asked to while one of its lives ended by itself."""
    if ending.crash is not None:  # and nothing wrote down that all is in order
        return Ending(f"{asked}; {one_line(ending.crash)}", 1)
    if not ending.reopen:
        return ending
    return unclean(ending.unclean) if ending.unclean else Ending(asked)


def unclean(why: str) -> Ending:
    """The journal does not say, durably, that this stop was clean."""
    return Ending(f"the stop was not clean: {why}", STORAGE_CODE)
