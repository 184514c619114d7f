"""Real runs: a scenario on processes, and a trace of it as the simulator would have written it.

    result = run_real(named("partition"), seed=7)
    result.trace            for the same checkers
    result.not_possible     faults of the plan that no cluster of processes can be made to have
    result.conformance      every recorded turn, fed back through the core

Rules
- The plan is the one that the simulator would run: same scenario, same seed, same operations. What
  is not possible here is left out and said aloud, and so is what is done in another way.
- Nodes tell nothing but their recordings (`node.recording.recorder`). What a node did is told by
  replaying its core on what it was fed; where an output differs, the conformance says so.
- All times are those of one machine's monotonic clock. Nothing is told before its cause.

How a run goes: `possible` takes out what cannot be; `driver` starts the nodes, does to them what
the plan says while `sessions` ask, and collects the recordings; `lives` plays each life and tells
what it did; `packets` ties receipts to sends; `merge` puts all that in order.
"""

from lab.real.run import RealError, RealResult, run_plan_real, run_real

__all__ = ["RealError", "RealResult", "run_plan_real", "run_real"]
