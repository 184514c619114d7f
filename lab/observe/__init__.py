"""Observes running nodes: whether they have converged, what changes, what they log. It only reads.

Imported by the command line, real runs, the tour and benches.

Rules
- An observer sends reads and subscriptions, and nothing that changes a node.
- What it sees is a view of one moment of each node, never of all at once: `convergence` compares
  roots and says what two frontiers differ by, and a quiet period is a heuristic.
- A node that does not answer is shown as such; it never stops the others from being shown.

Read `node_states` (what `ps` shows), `convergence`, `watcher`, `cluster_rates` (the figures of
`stat`), then `log_tail`.

`live_source` turns all of that into trace events and polls, for `lab.view`: a thread (`LiveSource`)
with a bounded queue (`event_queue`), a `live_node` for each node with its `node_feed`, the faults
of links (`link_faults`) and the logs (`log_notes`). So what is seen live, in a recorded run and in
a simulated one is one thing.
"""
