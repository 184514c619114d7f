"""R10 on a real node's sockets; `scripts/evidence flood --long` sends 10^6 frames to each."""

import pytest

from tests.cluster.conftest import Lab
from tests.cluster.conftest import lab as lab  # noqa: PLC0414  (the fixture)
from tests.reliability.realnode import flood

pytestmark = pytest.mark.cluster


def test_a_node_under_hostile_frames_counts_them_and_works_on(lab: Lab) -> None:
    assert "0 crashes, 0 worker restarts" in flood(lab, 8000, 8000, 20_000)
