"""The append-only journal on this node's disk: write, commit in groups, scan, recover, repair.

Who may import it: `control` (errors only), `recording`, `process`; and the laboratory. It imports
`core` (the values that it stores) and `config` (errors). `codec`, `checkpoint_codec` and `headers`
are the only users of the generated protobuf code. The bytes: docs/disk-format.md.

How it works. A journal is a sequence of numbered records in segment files. `journal` appends them
as blocks of checked frames (`frames`, `blocks`, `codec`), and `committer` does that on a thread of
its own, by the policy of `group_commit`: one append and one sync for all that waits. A start
(`recovery`, `recovered`) reads IDENTITY, the checkpoints that can be believed
(`checkpoint_files`) and the rest of the segments (`scan`), cuts off a torn tail, sets damage aside,
and says whether own events may be lost. `record_reader` finds single records by `offset_index`.
`verify` and `repair` are the commands for people, `scrub_passes` looks for rot while a node runs.

Reading order: `files`, `frames`, `headers`, `segments`, `journal`, `group_commit`, `committer`;
then `scan`, `recovered`, `recovery`; then the rest.

Rules
- Records are never changed, and damage is copied before anything is cut off.
- A failed sync is final: nothing more is written until the process begins again.
- All I/O goes through `files.Storage`, so that the simulator and fault tests use the same code.

The caller's duties: hold the lock of the directory (`FileStorage` takes it) and open one journal in
it; treat `StorageError` as the end of this life, `RecoveryRefused` as a question to a person.
"""
