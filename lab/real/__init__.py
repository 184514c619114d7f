"""Real runs: a scenario executed on real processes, and a trace of it in the simulator's schema.

    result = run_real(named("partition"), seed=7)
    result.trace            for the same checkers
    result.not_possible     faults of the plan that cannot be applied to processes
    result.conformance      every recorded turn, fed back through the core

    recorded_run(folder)    a trace from the recordings that nodes left, without a driver

Imported by the command line.

Rules
- The plan is the one that the simulator would run: same scenario, same seed, same operations. Each
  fault that is left out, or applied in another way, is reported.
- The only source inside a node is its recording (`node.recording.recorder`). Its events are
  obtained by replaying its core on the recorded inputs; where an output differs, the conformance
  says so.
- All times are those of one machine's monotonic clock. No event precedes its cause.

How a run goes: `feasibility` takes out what cannot be applied. `driver` starts the nodes and
applies the plan while `client_sessions` ask, and collects the recordings. `life_events` replays
each life. `packet_matching` assigns receipts to transmissions. `trace_merge` sorts everything into
one trace.
"""

from lab.real.recorded import Recorded, recorded_run
from lab.real.run import RealError, RealResult, run_plan_real, run_real

__all__ = ["RealError", "RealResult", "Recorded", "recorded_run", "run_plan_real", "run_real"]
