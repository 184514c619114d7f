"""The trace is the record of a run, as data and as a file, in one schema for simulated and real
runs.

Anyone may import this room. It imports nothing else of chatlab, and neither do the checkers that
read traces, so that another implementation can be judged by the same checkers.

Rules
- An event has a header (when, where, caused by what) and one value, whose class is its kind. The
  table of kinds is closed: a new kind is added in `kinds`, docs/trace.md and the schema's number.
- Each event has a hash of itself and all before it: two runs are equal if their last hashes are.

Read `trace`, then `kinds`, then `file`.
"""
