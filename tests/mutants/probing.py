"""Probing: small directed tests, one for each mutant, that show that it is wired.

A probe is a function that is True for the sound core and False where its mutant is in force. That a
mutant is not caught then says something of checkers and workloads, and nothing of its wiring.
"""

from collections.abc import Callable

Probe = Callable[[], bool]


class Probes:
    """By the id of the mutant."""

    def __init__(self) -> None:
        self.of: dict[str, Probe] = {}

    def __call__(self, *mutants: str) -> Callable[[Probe], Probe]:
        def register(probe: Probe) -> Probe:
            for mutant in mutants:
                assert mutant not in self.of, mutant
                self.of[mutant] = probe
            return probe

        return register


probes = Probes()
