"""Checkers judge a run by its trace alone: each checks one promise, and returns a verdict.

    verdicts = judge(trace)                     one pass, all checkers of one run
    overall(verdicts, RULES.values())           fail, unknown or pass
    Judge(limits)                               the same by hand, or as an observer of a trace
    SINGLE["C5"].check(trace)                   one checker alone
    PAIR["C19"].compare(trace, again)           two runs that should be one
    BATCH["C20"].judge(samples, band)           many runs against a calibration
    Coverage().judge(samples)                   C17 of a batch: every fault acted somewhere

Rules
- A checker knows `lab.trace.trace`, `lab.trace.kinds` and `lab.trace.file`, and nothing of the code
  that it judges. It is as good for a real cluster, or another implementation, as for the simulator.
- A verdict is `pass`, `fail` or `unknown`. A failure names events of the trace that show it.
  Unknown is for what the run could not show: no op was asked, no node was up, a fault never fired,
  there is no calibration.
- What is lost with the only disk that held it is permitted, and counted; never hidden.
- A node does not fail for what the plan did to it. Each excuse is tied to an event of the trace.

How it works. `RunHistory` and `Disks` collect what several checkers need, the latter with the
reason for every record that went missing. Each checker is one file, C1 to C21 of docs/lab.md; it is
shown the kinds of events it wants and asked once at the end. C15 and C19 compare two traces, C20
looks at a batch of samples, C11 and C13 give figures and (almost) no judgement.
"""

from lab.checkers.fault_coverage import Coverage
from lab.checkers.judge import BATCH, PAIR, RULES, SINGLE, Judge, Single, judge
from lab.checkers.lag_band import Band, LagBand, calibrate
from lab.checkers.quiet import QuietPeriods, QuietPoint
from lab.checkers.run_sample import Sample
from lab.checkers.thresholds import Thresholds
from lab.checkers.verdict import (
    Checker,
    CheckerRule,
    Figures,
    Outcome,
    PairChecker,
    Verdict,
    overall,
)

__all__ = [
    "BATCH",
    "PAIR",
    "RULES",
    "SINGLE",
    "Band",
    "Checker",
    "CheckerRule",
    "Coverage",
    "Figures",
    "Judge",
    "LagBand",
    "Outcome",
    "PairChecker",
    "QuietPeriods",
    "QuietPoint",
    "Sample",
    "Single",
    "Thresholds",
    "Verdict",
    "calibrate",
    "judge",
    "overall",
]
