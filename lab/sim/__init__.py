"""The simulator runs the replicas, journals and codecs of real processes in simulated time, under
one seed.

Rules
- Time is integer microseconds. One heap orders everything; what is due at the same instant happens
  in the order in which it was scheduled.
- Chance comes from streams derived from the run's seed, one for each concern
  (`lab.plan.random_streams`). One more draw here does not reshuffle what happens there.
- What is simulated is the world around a node and nothing of the node: links (`network`), the disk
  below the real journal (`disk`), clocks (`clock`), the committer's thread (`committer`) and the
  process that lives and dies (`host`). Packets are encoded by `gossip.wire` and counted in bytes.
- No thread, no event loop, no wall clock, no hash order: a plan and the code decide everything.
- Observers see each event of the trace and can change nothing. A `branch` is no observer: after one
  event it gives all streams other seeds.

How a run goes: a scenario and a seed give a plan (`lab.plan.draw`), which is data; the world
executes it in phases: faults, then heal, then liveness, then the end. The trace is what a run
leaves.

    from lab.sim.world import run
    result = run(scenario, seed=7)
    result.trace.hash
"""
