"""Penalties: longer each time, forgotten after good behaviour, and never for somebody else."""

from node.network.penalties import FORGET_S, NAMES_MAX, Penalties


def test_each_strike_silences_longer_up_to_a_limit() -> None:
    now_s = 50.0
    penalties = Penalties(lambda: now_s)
    assert not penalties.silenced("n2")
    assert [penalties.strike("n2") for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert penalties.silenced("n2")
    assert not penalties.silenced("n3")
    now_s += 60
    assert not penalties.silenced("n2")
    assert penalties.strike("n2") == 60


def test_good_behaviour_is_a_new_beginning() -> None:
    now_s = 50.0
    penalties = Penalties(lambda: now_s)
    penalties.strike("n2")
    now_s += FORGET_S + 2
    assert penalties.strike("n2") == 1


def test_the_table_is_bounded() -> None:
    penalties = Penalties(lambda: 0.0)
    for number in range(3 * NAMES_MAX):
        penalties.strike(f"n{number}")
    assert len(penalties._records) <= NAMES_MAX
