"""A file for each life of a node: what went into its core, and a hash of what came out.

Who may import it: `process`; and the laboratory, which replays recordings (`lab.sim.conformance`)
and reads what a real node did (`lab.real`). It imports `storage` (errors), `network` (faults) and
`core`.

How it works. With `trace: true` in cluster.yaml a `recorder.RecordedReplica` is used in the place
of a `Replica`. It writes each input in order, and after each drain a hash of the Outbox. `format`
is the form of the file, with the functions that read one.

Reading order: `format`, `recorder`.

Rules
- An entry is in the file before the Outbox that it speaks of is executed.
- A node never suffers from being recorded: where the disk refuses, the file ends, and says so.

The caller's duties: make a new recorder for each life, and close it when the life has ended.
"""
