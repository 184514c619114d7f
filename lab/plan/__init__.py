"""A plan says what shall happen in a run, as data: faults and operations with their times. It is
drawn from a scenario and a seed.

Imported by the simulator and by what is above it. It imports no simulator: a plan is executed by
`lab.sim` or, on real processes, by `lab.real`.

    scenario (YAML, ranges) + seed  --draw-->  Plan (every fault and op with its time)

Rules
- A plan and the code decide a simulated run. Scenario and seed are labels on it.
- Each concern draws from a stream of its own (`random_streams`), so that one draw more or less in
  one place changes nothing elsewhere, and a shrunk plan does the rest as before.
- Bad input is one line that names file, line and key.

Read `faults` (the values), `scenario` (the schema), `draw` (the swarm), then `workload`.
`plan_text` says a plan in sentences.
"""
