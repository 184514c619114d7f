"""Packets to and from peers over ZeroMQ, with faults, compression and penalties.

Who may import it: `control` and `recording` (the values of faults), `process`; and the laboratory
(mostly `link_faults`). It imports `security`, `sockets`, `config` and `core`.

How it works. `transport` is a worker: one ROUTER behind a gate receives for all peers, and one
DEALER for each peer sends (`peer_sender`, with a bounded queue). What is sent passes the table of
`link_faults` first, so that a test can cut, delay, double or lose packets of one link, and then
`compression` if the cluster file asks for it. What comes in is decoded and checked: the cluster,
and with keys the name. Who misuses a key is not listened to for a while (`penalties`).

Reading order: `transport`, `peer_sender`, `link_faults`, `compression`, `penalties`.

Rules
- Delivery is best effort: a packet is dropped and counted before anything waits for it. Gossip
  repairs what is lost.
- Whatever a stranger sends is a count; nothing of it ends the worker.

The caller's duties: call it on the event loop only, pass each packet that comes to a turn, and set
the endpoint of each peer as soon as it is known; until then packets for it are dropped.
"""
