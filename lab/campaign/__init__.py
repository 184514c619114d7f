"""A campaign runs many seeds and judges each run. It names each run by a replay token.

Imported by `lab.explain` and the command line.

    judged_run  plan -> simulator -> trace -> checkers -> verdicts
    explore     seeds on all cores, each a judged run; failures with their tokens

Rules
- A run is named by its token (`replay_token`): scenario, seed, build and the trace's hash. A token
  from other code says so and is not replayed silently.
- What the sound core shows over a batch is measured once and kept in bands.json (`calibration`);
  C20 compares a batch with it.
- Workers (`worker_pool`) end with their parent (`orphans`), and results do not depend on how many
  there are.

Read `judged_run`, `replay_token`, `explore`; then `reached` (which states and transitions of the
core a campaign came to) and `comparison` (`lab compare`, `lab sweep`).
"""
