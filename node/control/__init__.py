"""What people ask of one node and are answered; the feed and the metrics for observers.

Who may import it: `process`; and the laboratory, whose client speaks the same `messages`. It
imports `network` (faults and counters), `storage` (errors), `security`, `sockets` and `core`.

How it works. `messages` are the requests and replies, values only. `server` receives frames of
requests on a ROUTER, `decoding` reads them, commands become inputs of the core with a ticket
(`ack_levels` maps the levels), and their outcomes become replies. Questions go to `reader`, which
answers from `queries`, read-only views of the core's parts. `answers` holds what waits for one
client. `feed` is separate: it publishes each arrival once and takes no requests.
`metrics_server` serves the same status to Prometheus, as `metrics_text`, with the histograms of
`measures`; a node whose file asks for no metrics has none of the three.

Reading order: `messages`, `decoding`, `ack_levels`, `server`, `answers`, `reader`, `queries`,
`feed`, `measures`, `metrics_text`, `metrics_server`. The protocol: docs/protocol.md.

Rules
- Each request gets exactly one reply; one that cannot be served gets `Failed` with a reason.
- Requests, answers and subscribers are bounded for each client and in all.
- Looking changes nothing. A reading is bounded in bytes and in time, because nothing else runs
  meanwhile.

The caller's duties: pass commands to a turn, and each outcome back by its ticket; publish arrivals
in the order of their numbers.
"""
