"""How much work each bench does: a full scale for real figures, a small one for `--quick`."""

from msgspec import Struct


class Scale(Struct, frozen=True):
    """Counts are messages unless the name says otherwise."""

    small: int  # events of a short history, to compare with
    middle: int  # of one of a busy day
    large: int  # of a very long one
    ingest: int  # of one repetition
    singles: int  # one at a time
    repeats: int
    repeats_large: int  # of what takes seconds on the large history
    paced_s: float
    rates: tuple[int, ...]  # messages a second, rising
    many_nodes: int
    differences: tuple[int, int]  # few and many
    settle_s: float
    window_s: float
    moderated: int  # texts of a kind
    observers: int
    sim: float  # share of a simulated length or size
    compiled: bool  # whether the compiled tree is built and measured too


FULL = Scale(
    small=10_000,
    middle=100_000,
    large=1_000_000,
    ingest=60_000,
    singles=5000,
    repeats=5,
    repeats_large=3,
    paced_s=10.0,
    rates=(1000, 2000, 3000, 4000, 6000, 8000, 10_000, 12_000, 16_000, 20_000, 25_000, 30_000),
    many_nodes=50,
    differences=(1000, 10_000),
    settle_s=5.0,
    window_s=5.0,
    moderated=2000,
    observers=50,
    sim=1.0,
    compiled=True,
)
QUICK = Scale(
    small=300,
    middle=600,
    large=1200,
    ingest=1000,
    singles=50,
    repeats=2,
    repeats_large=1,
    paced_s=0.5,
    rates=(100, 200),
    many_nodes=7,
    differences=(50, 200),
    settle_s=0.1,
    window_s=1.2,
    moderated=50,
    observers=3,
    sim=0.01,
    compiled=False,
)
