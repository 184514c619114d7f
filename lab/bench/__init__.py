"""Benches: whole processes, real sockets, real disks; each figure beside its goal.

`scripts/bench [NAME ...] [--json]` runs them; without names, all. A bench is a module with
`run() -> list[Figure]`. Machines differ and are noisy: compare figures of one run, and read the
span from the smallest to the largest beside each median.
"""
