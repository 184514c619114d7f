"""One node without its process: commands and packets in, an `Outbox` out. Pure.

Who may import it: anyone. It imports `domain` and `gossip` and nothing else, no I/O, no clock, no
randomness of its own (import contracts); so a process, the simulator and the model checker run the
very same code.

How it works. `replica` joins the parts: `gossip` says what is new and what to send, `emitter` turns
a command into an own event, `commit_tracker` knows how far the journal got with what it was given,
and `projections` shows what is visible. An event becomes visible only when its record is as safe as
the node's durability promises. `turn_loop` drives a replica: any number of inputs, one drain.

Reading order: `ports` and `interface` (values and Protocols), `replica`, then its parts:
`emitter` with `own_log`, `heads` and `epochs`; `commit_tracker` with `inflight`, `write_state` and
`pending_acks`; `projections` with `entry_store` and `checkpoint`; `notes`, `forks`. At last
`turn_loop` and `inbox`, the driver.

The caller's duties
- Before anything else: `Replica.recall` or `restore` what the journal holds, then `boot` once.
- Execute each Outbox in the order of its fields, persist first, and report `Persisted` or
  `PersistFailed` for each group of records.
- Step a `Tick` before the other inputs of a turn, and at `wake_at_ms` at the latest.
- Never use a replica again after it raised: build another one from the journal.
"""
