"""Copies of what is cut off: nothing that is kept is ever lost, and nothing is kept twice."""

from hypothesis import given
from hypothesis import strategies as st

from node.storage.files import MemoryStorage
from node.storage.recovery import keep_copy

NAME = "000001.seg"
PARTS = st.lists(st.binary(min_size=1, max_size=6), min_size=1, max_size=8)


@given(PARTS, st.integers(0, 4))
def test_each_tail_is_kept_once_whatever_was_kept_before(tails: list[bytes], offset: int) -> None:
    """One that is the beginning of another, or longer than it, is another."""
    storage = MemoryStorage()
    names: dict[bytes, str] = {}
    for tail in [*tails, *tails]:
        storage.set(NAME, bytes(offset) + tail)
        kept = keep_copy(storage, NAME, offset, len(tail), "torn")
        assert kept == names.setdefault(tail, kept)
        assert storage.read(kept, 0, 100) == tail
    assert len(set(names.values())) == len(set(tails))
    assert set(storage.names()) == {NAME, *names.values()}
    assert names[tails[0]] == f"{NAME}.torn-1"
    for tail, kept in names.items():
        assert storage.read(kept, 0, 100) == tail, "still there"
