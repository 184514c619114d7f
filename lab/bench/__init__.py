"""Benches: whole processes, real sockets, real disks; each figure beside its goal.

`scripts/bench [NAME ...] [--json] [--out FILE] [--quick]` runs them; without names, all. A bench is
a module with `run(session) -> list[Figure]`. Machines differ and are noisy: a figure stands beside
a bare baseline of the same run and their ratio, and its smallest and largest value beside its
median. docs/performance.md tells the method and shows results.
"""
