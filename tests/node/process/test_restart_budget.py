"""A node that restarts again and again, each time in a new epoch: nobody pays for it for good.

CHATLAB_LONG=1 restarts it 1,000 times, and so does `scripts/evidence restarts --long`.
"""

import os

from tests.reliability.restarts import restarted

COUNT = 1000 if os.environ.get("CHATLAB_LONG") else 300


def test_digests_stay_flat_and_everything_converges_after_many_restarts_of_one_node() -> None:
    assert restarted(COUNT)
