"""Play is the simulator by hand: step by step, back in time, and from any moment another way.

Imported by `lab.web` and `lab.cli`. It imports the simulator, plans, and judged runs; no I/O but a
worker process that judges.

    deeds      what a person may do, as values, and which of them are refused
    session    `PlaySession`: a run that is driven by hand, with its branches
    judging    the checkers' verdicts about what was done so far, in a process of its own

How it works. A session has one world of `lab.sim.world`, the very same core as in every other run,
and lets its agenda run as far as the person wants. What the person does is an item of the plan: an
op, a fault, or the end of a fault. The item belongs to the next microsecond, and in an instant what
the plan says comes before all else (`lab.sim.world`), so that it does not matter whether an item
was there from the start. So the plan of a session, run by `lab.sim.world.run_plan`, makes the same
trace up to this moment, apart from the options in its first event; tests hold that.

Rules
- There is no undo: to go back is to run the plan again up to an earlier moment, from the start.
- A branch is never changed behind a moment: who acts in the past of a branch begins another one.
- A fault that was begun and not ended has no end yet: `OPEN_US` stands for it. In a plan that is
  handed out it ends with the phase of faults, which is the moment at which it is handed out.
- What cannot be done is refused with one line (`PlayError`), and leaves everything as it was.

Read `deeds`, then `session`, then `judging`.
"""
