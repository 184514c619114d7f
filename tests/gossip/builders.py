"""Small frontiers of true, hash-chained entries, and exchanges between them over real bytes.

An entry is written as it is printed: `n1:3` is the third of n1's log in epoch 1, `n1:3b` its rival
on branch b. Its bytes are the link to its predecessor, then the dot, the branch and a filling.
"""

from collections.abc import Callable, Iterable, Iterator
from random import Random

from hypothesis import strategies as st

from domain.dot import Dot, LogId
from gossip.delta import cut
from gossip.entry import GENESIS, PREV_BYTES, Entry, hash_of
from gossip.epoch_folds import Compared, EpochFolds, FoldSummary
from gossip.frontier import Added, Frontier
from gossip.packets import PROTOCOL_VERSION, Body, Line, Packet, Push, Run
from gossip.reconcile import Lack
from gossip.reconcile.vector import Vector
from gossip.store import MemoryStore
from gossip.wire import decode, encode

# --- entries ------------------------------------------------------------------------------------


def entry(
    origin: str, seq: int, prev: bytes = GENESIS, branch: str = "", size: int = 0, epoch: int = 1
) -> Entry:
    """One entry of at least `size` bytes."""
    dot = Dot(origin, epoch, seq)
    data = (prev + f"{dot}{branch} ".encode()).ljust(size, b".")
    return Entry(dot, prev, hash_of(data), data)


def chain(
    origin: str,
    count: int,
    *,
    after: Entry | None = None,
    branch: str = "",
    size: int = 0,
    epoch: int = 1,
) -> list[Entry]:
    """The next `count` entries of a log, after its beginning or after an entry."""
    made: list[Entry] = []
    prev, seq = (after.chain_hash, after.dot.seq) if after else (GENESIS, 0)
    for at in range(seq + 1, seq + 1 + count):
        made.append(entry(origin, at, prev, branch, size, epoch))
        prev = made[-1].chain_hash
    return made


def reopened(dot: Dot, data: bytes) -> Entry:
    """An entry as its receiver makes it from the bytes in a run."""
    assert str(dot).encode() in data, f"the bytes claim another dot than {dot}"
    return Entry(dot, data[:PREV_BYTES], hash_of(data), data)


def entries_of(runs: Iterable[Run]) -> Iterator[Entry]:
    for run in runs:
        for seq, data in enumerate(run.data, run.first):
            yield reopened(Dot(run.origin, run.epoch, seq), data)


# --- frontiers ----------------------------------------------------------------------------------


def holding(*groups: Iterable[Entry], ranges_max: int = 16) -> Frontier:
    """A frontier that was offered these entries, in this order."""
    frontier = Frontier(MemoryStore(), ranges_max)
    for group in groups:
        take(frontier, group)
    return frontier


def take(frontier: Frontier, entries: Iterable[Entry], *, pushed: bool = False) -> list[Added]:
    return [frontier.add(one, pushed=pushed) for one in entries]


def held(frontier: Frontier) -> set[bytes]:
    """The bytes of all entries held."""
    return {data for log in frontier for _, _, data in frontier.tagged(log)}


def log_of(entries: list[Entry]) -> LogId:
    return entries[0].dot.log


# --- exchanges ----------------------------------------------------------------------------------


def packet(body: Body, sender: str = "n1") -> Packet:
    return Packet(PROTOCOL_VERSION, 0xC0FFEE, sender, 1, 7, body)


def wire_bytes(runs: list[Run]) -> int:
    """What these runs add to a real packet."""
    return len(encode(packet(Push(runs, direct=True)))) - len(encode(packet(Push([], direct=True))))


def shipped(runs: list[Run]) -> list[Run]:
    """The runs as the other side decodes them."""
    body = decode(encode(packet(Push(runs, direct=True)))).body
    assert type(body) is Push
    return body.runs


def lacks_of(ours: Frontier, theirs: list[Line]) -> list[Lack]:
    Vector().hear(ours, theirs)
    return Vector().next_lacks(ours, theirs)


def compared_by(folding: EpochFolds, ours: Frontier, theirs: FoldSummary) -> Compared:
    folding.hear(ours, theirs)
    return folding.next_comparison(ours, theirs)


def offered(frontier: Frontier, theirs: list[Line], budget_bytes: int) -> list[Run]:
    """The leg that answers these lines. Never above its budget."""
    runs, _ = cut(lacks_of(frontier, theirs), frontier, budget_bytes)
    assert wire_bytes(runs) <= budget_bytes
    return shipped(runs)


def always() -> bool:
    return True


def exchange(
    caller: Frontier,
    responder: Frontier,
    budget_bytes: int = 256 * 1024,
    arrives: Callable[[], bool] = always,
) -> None:
    """One exchange in three legs, of which some may be lost."""
    vector = Vector()
    asked = vector.next_lines(caller)
    if not arrives():
        return
    runs = offered(responder, asked, budget_bytes)
    answered = vector.next_lines(responder)
    if not arrives():
        return
    take(caller, entries_of(runs))
    runs = offered(caller, answered, budget_bytes)
    if arrives():
        take(responder, entries_of(runs))


def rounds_to_agree(
    frontiers: list[Frontier],
    rng: Random,
    budget_bytes: int = 256 * 1024,
    loss: float = 0.0,
    rounds_max: int = 2000,
) -> int:
    """Exchanges between random pairs until all roots are equal."""
    for count in range(rounds_max):
        if len({frontier.root for frontier in frontiers}) == 1:
            return count
        caller, responder = rng.sample(frontiers, 2)
        exchange(caller, responder, budget_bytes, lambda: rng.random() >= loss)
    raise AssertionError(f"no agreement after {rounds_max} exchanges")


# --- worlds for properties ----------------------------------------------------------------------


@st.composite
def worlds(draw: st.DrawFn, forks: bool = True) -> list[Entry]:
    """Everything that a few authors wrote, some of them twice at the same positions."""
    made: list[Entry] = []
    for origin in ("n1", "n2", "n3")[: draw(st.integers(1, 3))]:
        trunk = chain(origin, draw(st.integers(1, 7)), epoch=draw(st.integers(1, 2)))
        made += trunk
        for branch in "bc"[: draw(st.integers(0, 2)) if forks else 0]:
            at = draw(st.integers(0, len(trunk)))
            after = trunk[at - 1] if at else None
            count = draw(st.integers(1, 4))
            epoch = trunk[0].dot.epoch
            made += chain(origin, count, after=after, branch=branch, epoch=epoch)
    return made


def parts(world: list[Entry]) -> st.SearchStrategy[list[Entry]]:
    """Some of the world, in some order, parts of it twice."""
    return st.lists(st.sampled_from(world), max_size=2 * len(world))
