"""One node as an operating-system process: its loop, workers, lives, signals and log.

Who may import it: `node.__main__`; and the laboratory, for pid files, standard streams and the list
of notes, and the simulator for the pure `lives`, `restart_budget` and `settings`. It imports every
other room.

How it works. `lifecycle.live` runs one life after the other: open the journal, restore the core,
run, end. `lives` decides what follows an end. Inside a life, `runtime` owns the event loop: it
implements the ports of `node.core.turn_loop` with real clocks and workers, and executes each
Outbox. `wiring` makes the workers (transport, control, feed, authenticator, scrub, telemetry);
`supervisor` starts them, restarts one that crashed, and gives up over a budget. `stopping` owns the
signals through all lives, `structured_log` writes each note as one line of JSON.

Reading order: `settings`, `lifecycle`, `lives`, `runtime`, `wiring`, `supervisor`,
`restart_budget`, `stopping`, `structured_log`; then the small ones.

Rules
- Only the event loop touches the replica. The committer's thread and the scrub's thread report to
  it with `call_soon_threadsafe`.
- A worker that crashes is restarted alone; an exception of the core ends the life, and the next one
  begins from the journal.
- A note whose name is not in `structured_log.NOTES` is refused.

The caller's duties: hold the lock of the data directory before `live`, and exit with the code of
the `Ending` that it returns.
"""
