"""One process of the network: a pure replica, and around it the parts that touch the world.

    replica     the pure core: commands and packets in, an Outbox out        (no I/O, no clock)
    runtime     one event loop: steps the replica, executes its Outbox
    committer   the journal's thread: append, one sync for all that queued
    transport   packets to and from peers, over ZeroMQ
    control     commands and readings of people; feed: arrivals for observers, one way
    supervisor  starts the workers, restarts what crashes, gives up by a budget
    lifecycle   from opening the journal to its close, and again after a crash of the core

Reading order: `ports` and `turn` (the seams), `replica`, `runtime`, `journal` (with `frames`,
`survey`, `recovery`), `codec`, then the workers.
"""
