"""Planting: how a mutant takes the place of one function of the real modules, and leaves it again.

    @planted("never-push", "Own events ...", "gossip.pushing.Pushing.flush", ...)
    def never_push() -> Swaps:
        def flush(self: Pushing, *, awaits_receipts: bool) -> None: ...
        return [(Pushing, "flush", flush)]

Production code knows nothing of this. What is replaced is an attribute of a class or of a module;
what stood there comes back when the context ends, descriptors included. What takes the place of a
function can be called as that one is: otherwise a mutant would be caught because it cannot.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from types import FunctionType, ModuleType
from typing import Any

from tests.mutants.scoreboard import Mutant

_APPLIED: list[str] = []  # in this process, the innermost last
Swaps = list[tuple[object, str, object]]  # owner, name of the attribute, what takes its place


def standing(module: ModuleType, name: str) -> Any:
    """What a module has under a name that it only imported."""
    return vars(module)[name]


def applied() -> str:
    """The mutant in force, "" if there is none: a child process must apply it for itself."""
    return _APPLIED[-1] if _APPLIED else ""


@contextmanager
def swapped(swaps: Swaps, mutant: str = "") -> Iterator[None]:
    before = [(owner, name, vars(owner)[name]) for owner, name, _ in swaps]
    for (_, name, old), (_, _, new) in zip(before, swaps, strict=True):
        if isinstance(old, FunctionType) and isinstance(new, FunctionType):
            assert _takes_its_calls(new, old), f"{mutant}: {name} cannot be called as it is"
    _APPLIED.append(mutant)
    try:
        for owner, name, new in swaps:
            setattr(owner, name, new)
        yield
    finally:
        _APPLIED.pop()
        for owner, name, old in reversed(before):
            setattr(owner, name, old)


def _takes_its_calls(new: FunctionType, old: FunctionType) -> bool:
    parameters = signature(old).parameters.values()
    named = {one.name: None for one in parameters if one.kind is one.KEYWORD_ONLY}
    try:
        signature(new).bind(*[None] * (len(parameters) - len(named)), **named)
    except TypeError:
        return False
    return True


class Bed:
    """A group of mutants, in the order in which they were planted."""

    def __init__(self) -> None:
        self.mutants: dict[str, Mutant] = {}

    def planted(
        self,
        name: str,
        wrong: str,
        where: str,
        expected: str,
        *benches: str,
        blind: str = "",
    ) -> Callable[[Callable[[], Swaps]], Callable[[], Swaps]]:
        """`expected` is a list of rules, by white space."""

        def register(make: Callable[[], Swaps]) -> Callable[[], Swaps]:
            assert name not in self.mutants, name
            self.mutants[name] = Mutant(
                name,
                wrong,
                where,
                tuple(expected.split()),
                benches,
                lambda: swapped(make(), name),
                blind,
            )
            return make

        return register
