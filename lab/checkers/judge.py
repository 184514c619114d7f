"""The judge runs all checkers of one run in one pass over its trace.

Each event goes first to the history and the disks, and then to the checkers that want its kind,
found by one look-up of its class. A judge can also be an observer of a trace, and then judges while
the run goes on.
"""

from collections.abc import Callable, Collection, Iterable

from lab.checkers.acked_loss import AckedLoss
from lab.checkers.causality import Causality
from lab.checkers.clocks import Clocks
from lab.checkers.context import CheckContext
from lab.checkers.convergence import Convergence
from lab.checkers.determinism import Determinism
from lab.checkers.disk_model import Disks
from lab.checkers.duplicates import Duplicates
from lab.checkers.fault_coverage import Nontrivial
from lab.checkers.indeterminate import Indeterminate
from lab.checkers.lag_band import LagBand
from lab.checkers.log_integrity import LogIntegrity
from lab.checkers.moderation import Moderation
from lab.checkers.observers import Observers
from lab.checkers.packet_conservation import PacketConservation
from lab.checkers.part_models import PartModels
from lab.checkers.phantoms import Phantoms
from lab.checkers.presence import PresenceFigures
from lab.checkers.progress import Progress
from lab.checkers.quiet import QuietPeriods
from lab.checkers.reversible import Reversible
from lab.checkers.run_history import RunHistory
from lab.checkers.run_sample import Sample, SampleMeter
from lab.checkers.session_guarantees import SessionGuarantees
from lab.checkers.supervision import Supervision
from lab.checkers.thresholds import Thresholds
from lab.checkers.verdict import Checker, CheckerRule, PairChecker, See, Verdict
from lab.trace.kinds import KINDS
from lab.trace.trace import Event


class Single:
    """The registration of a checker of one run."""

    def __init__(self, rule: CheckerRule, make: Callable[[CheckContext], Checker]) -> None:
        self.rule = rule
        self.make = make

    @property
    def id(self) -> str:
        return self.rule.id

    def check(self, trace: Iterable[Event], limits: Thresholds | None = None) -> Verdict:
        """Run this checker alone."""
        (verdict,) = judge(trace, limits, only=(self.rule.id,))
        return verdict


_MAKERS: tuple[type[Checker], ...] = (
    AckedLoss,
    Indeterminate,
    Phantoms,
    Duplicates,
    LogIntegrity,
    Convergence,
    Causality,
    SessionGuarantees,
    Moderation,
    Reversible,
    QuietPeriods,
    Progress,
    PresenceFigures,
    Supervision,
    Clocks,
    Nontrivial,
    PacketConservation,
    PartModels,
)
SINGLE: dict[str, Single] = {make.rule.id: Single(make.rule, make) for make in _MAKERS}
PAIR: dict[str, PairChecker] = {one.rule.id: one for one in (Observers(), Determinism())}
BATCH: dict[str, LagBand] = {LagBand.rule.id: LagBand()}
_RULES: list[CheckerRule] = [one.rule for one in SINGLE.values()]
_RULES += [one.rule for one in PAIR.values()]
_RULES += [one.rule for one in BATCH.values()]
_RULES.sort(key=lambda rule: int(rule.id[1:]))
RULES: dict[str, CheckerRule] = {rule.id: rule for rule in _RULES}


class Judge:
    """Mutable. `see` every event in order, then ask."""

    def __init__(self, limits: Thresholds | None = None, only: Collection[str] = ()) -> None:
        self.history = RunHistory()
        case = CheckContext(self.history, Disks(), limits or Thresholds())
        self.checkers = {
            name: single.make(case) for name, single in SINGLE.items() if not only or name in only
        }
        self._meter = SampleMeter(case)
        table: dict[type, list[See]] = {kind: [] for kind in KINDS.values()}
        wants = [self.history.wants(), case.disks.wants(), self._meter.wants()]
        wants += [checker.wants() for checker in self.checkers.values()]
        for wanted in wants:
            for kind, see in wanted.items():
                table[kind].append(see)
        self._table = {kind: tuple(sees) for kind, sees in table.items()}

    def see(self, event: Event) -> None:
        for see in self._table[type(event.data)]:
            see(event)

    def see_all(self, events: Iterable[Event]) -> None:
        table = self._table
        for event in events:
            for see in table[type(event.data)]:
                see(event)

    def verdicts(self) -> list[Verdict]:
        """The verdicts, in the order of the rules. Call this once."""
        return [checker.verdict() for checker in self.checkers.values()]

    def sample(self) -> Sample:
        """The figures of this run for the batch checkers."""
        return self._meter.sample()


def judge(
    trace: Iterable[Event], limits: Thresholds | None = None, *, only: Collection[str] = ()
) -> list[Verdict]:
    """All checkers of one run, or `only` these."""
    judging = Judge(limits, only)
    judging.see_all(trace)
    return judging.verdicts()
