"""Clients of running nodes: find them, ask one or all of them, read timelines, send many messages.

Imported by everything that deals with real nodes. It knows the control protocol
(`node.control.messages`) and no process: who starts and stops nodes is `lab.cluster`.

Rules
- One connection, one request, one answer, within a time. A connection that broke is finished: what
  was in flight has an unknown outcome, and is said to have one.
- Where a cluster is (`location`) is found without parsing YAML, from what its last start wrote
  down, so that `send` and `ps` begin fast. A test holds which modules they may load.
- The number of requests in flight is bounded (`pipeline`).

Read `location` and `client`, then `panel` (many nodes), `pipeline` and `timeline_reader`. `remote`
is for nodes on other machines, with keys.
"""
