"""R13, short; `scripts/evidence malice --long` attacks for 60 s, and judges how long people wait.

What is asserted here holds on a machine that others use as well. There processor time goes by at
another pace than alone, and everything takes longer; but each client waits for one answer before it
asks again, so that answers come at the same pace unless the nodes are busy with something else.
"""

import pytest

from tests.cluster.conftest import Lab
from tests.cluster.conftest import lab as lab  # noqa: PLC0414  (the fixture)
from tests.reliability import malicious
from tests.reliability.malice import NAMES

pytestmark = pytest.mark.cluster


@pytest.mark.timeout(240)
def test_a_malicious_peer_ends_no_node_and_what_was_acknowledged_converges(lab: Lab) -> None:
    measured = malicious.measured(lab, 6.0, seed=13, converged_s=90.0)
    assert len(measured.told.packets) == len(NAMES)
    assert measured.acked > 100
    assert measured.pace > 0.5, measured
    assert measured.grown_mib <= measured.grown_mib_max, measured
    assert measured.turn_ms <= 2 * malicious.TURN_MS_MAX, measured
