"""The laboratory around the nodes: start them, break them, simulate them, judge what they did.

It may import everything below it; nothing in `node`, `gossip` or `domain` knows that it exists.
Each room has its manual in its `__init__`. From the bottom up:

    terminal, trace                safe output to terminals; what happened in a run, as data
    plan, checkers, drills         what shall happen; what a run is held to; parts beside models
    client, exports, experiments   talk to running nodes; traces for other viewers; published tables
    view                           what an observer knows of a cluster, live, recorded or simulated
    sim, cluster                   the simulator; real node processes on this machine
    campaign, modelcheck, observe  many seeds; every order of a few steps; looking at running nodes
    explain, real, demo, bench     a failure, told; a plan on real processes; the tour; measurements
    cli                            `chatlab`, which translates and prints

A room imports only rooms of lines below its own, and the layers in pyproject.toml hold it to that.
"""
