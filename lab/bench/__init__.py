"""Benches: whole processes, real sockets, real disks; each figure beside its goal.

`scripts/bench [NAME ...] [--json] [--out FILE] [--quick]` runs them; without names, all. A bench is
a module with `run(session) -> list[Figure]`. A machine is noisy, and no two are alike: so a figure
stands beside a bare baseline of the same run and their ratio, and its smallest and largest value
beside its median. docs/performance.md has the method and results. Nobody imports this room, but
for the tests.
"""
