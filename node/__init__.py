"""One process of the network: a pure replica, and around it the rooms that touch the world.

    core        the replica: commands and packets in, an Outbox out         (no I/O, no clock)
    config      cluster.yaml, paths, addresses, whose state a folder holds
    sockets     ZeroMQ on an asyncio loop, with bounded memory
    storage     the journal on the disk: written, committed in groups, scanned, repaired
    security    keys, and who may connect
    network     packets to and from peers
    control     commands and readings of people; the feed of arrivals, one way
    recording   what went into and came out of the core, in a file
    process     loop, workers, supervision, signals, log; one life after the other
    disk        generated protobuf

Each room's docstring is its manual. Who may import whom is a contract (pyproject.toml): `process`
above `recording` and `control`, then `network`, `storage` and `security`, `sockets`, `config`,
`core`. A life of a message through the rooms: docs/architecture.md. Reading order: `core`,
`process`, `storage`, then the others. `__main__` is the process itself.

No `__init__` imports anything: a command that sends one message must not load what it does not use.
"""
