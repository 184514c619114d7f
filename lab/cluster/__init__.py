"""Manages real node processes on this machine: starts, stops, signals, wipes and disturbs them.

Imported by the command line, the tour, benches and real runs. It starts `node` as a process and
never runs a part of one here, but for `foreground`.

Rules
- A process is known by its pid and its birth together (`processes`), so that a number that the
  system gives out again is never signalled.
- One launcher for each cluster forks the nodes, sees them end, and starts them again within a
  budget. It writes what it knows to `launched.json` (`launcher_state`), so that `ps` needs no
  request.
- A folder belongs to the cluster whose mark lies in it. Nothing is written to or removed from a
  folder of another one (`wipe` lists what it removes, by name).

Read `cluster`, then `launcher` with `fork`, then `processes`. `network_faults` puts faults into the
transports of running nodes.
"""
