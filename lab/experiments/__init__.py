"""Experiments reproduce published figures with the code that nodes run.

`chatlab lab table NAME` shows one, in a short form or, with `--full`, as large as its figures were
published for.

Rules
- An experiment drives the real parts of `gossip`: engines, rumors, packets as bytes. A bare model
  may stand beside it as a column of its own, so that one sees which of the two is off.
- Each is a function `run(...)` of sizes and a seed, and gives rows. The same seed, the same rows.
- Each row has the published figure, ours, and our standard error. What does not reproduce is said
  to, and nothing is tuned until it does.
"""
