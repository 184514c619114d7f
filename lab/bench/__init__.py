"""Benches: measure whole processes with real sockets and real disks, and compare with goals.

`scripts/bench [NAME ...] [--json] [--out FILE] [--quick]` runs them; without names, all. A bench is
a module with `run(session) -> list[Figure]`, named in `__main__`. Machines differ and are noisy. So
a figure is a median with its smallest and largest value, and beside it stands a bare baseline that
the same run measured, and the ratio of both. docs/performance.md has the method and the results.
Only tests import this room.
"""
