"""The result of a search, as values and as text for users."""

from msgspec import Struct


class Violation(Struct, frozen=True):
    what: str
    path: tuple[str, ...]  # the shortest, step by step


class Nearest(Struct, frozen=True):
    """The state that came nearest to the goal, and what it lacks."""

    missing: int  # posts that are not visible, over all nodes
    path: tuple[str, ...]
    stands: tuple[str, ...]  # each node in a line, then each packet that is under way


class SearchResult(Struct, frozen=True):
    """`complete`: the whole bounded space was seen. `goal` is the shortest path to it, if any."""

    states: int
    steps: int  # taken, from any state to any other
    locals: int  # distinct states of single nodes
    depth: int
    seconds: float
    complete: bool
    violation: Violation | None
    goal: tuple[str, ...] | None
    goals: int  # states in which it is reached
    nearest: Nearest

    def describe(self) -> str:
        """The result as text for users."""
        end = "the whole space" if self.complete else "cut off: not the whole space"
        counts = f"{self.states:,} states, {self.steps:,} steps between them, depth {self.depth}"
        lines = [f"{counts}, {self.seconds:.1f} s ({end})"]
        if self.violation is not None:
            lines += ["", f"VIOLATION: {self.violation.what}", *_numbered(self.violation.path)]
        elif self.goal is not None:
            lines += ["", f"Everybody shows everything in {self.goals:,} states; soonest so:"]
            lines += _numbered(self.goal)
        else:
            nearest = self.nearest
            head = f"Never does everybody show everything: at best {nearest.missing} are missing:"
            lines += ["", head]
            lines += [f"    {line}" for line in nearest.stands]
            lines += ["It is reached so:", *_numbered(nearest.path)]
        return "\n".join(lines)


def _numbered(path: tuple[str, ...]) -> list[str]:
    if not path:
        return ["    (the beginning)"]
    return [f"{number:>4}  {step}" for number, step in enumerate(path, start=1)]
