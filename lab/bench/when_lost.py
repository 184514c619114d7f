"""Measures `lab replay --when` of a failure that was made small: a planted bug, two nodes, and two
steps.

The bug is `dead-not-probed`: a peer that was declared dead is never called again. One way of a link
is cut for longer than that takes, and somebody posts meanwhile. The share of branches that fail is
between 0 and 1 at most moments, so the search takes many branches.
"""

import subprocess
import tempfile
import time
from pathlib import Path

import msgspec

from lab.bench.cluster import COMMAND
from lab.bench.figures import Figure, figure
from lab.plan.faults import NetworkOptions, Op, Partition, Plan, numbered, plan_to_json

BUG = "dead-not-probed"
S_MAX = 60
S = 1_000_000
FAILURE = Plan(
    scenario="long-partition",
    seed=0,
    nodes=("n1", "n2"),
    faults_us=8 * S,
    liveness_us=5 * S,
    ops=(
        Op(
            id=1,
            at_us=2_900_000,
            session="alice",
            node="n1",
            action="post",
            author="alice",
            text="hello",
        ),
    ),
    faults=numbered([(200_000, 7_900_000, Partition("halves", (("n1", "n2"),)))]),
    boot_spread_us=0,
    network=NetworkOptions("constant", 1000, 0),
)


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="chatlab-") as name:
        path = Path(name, "plan.json")
        path.write_bytes(plan_to_json(FAILURE))
        began_s = time.monotonic()
        command = [*COMMAND, "lab", "replay", f"{BUG}+{path}", "--when", "--json", "--time", "60"]
        ran = subprocess.run(command, capture_output=True, check=False)
        took_s = time.monotonic() - began_s
    assert ran.returncode == 7, ran.stderr.decode(errors="replace")
    told = msgspec.json.decode(ran.stdout)["when"]
    assert told["ended"] == "done" and told["step"] is not None, told["text"]
    note = f"{told['runs']} branches at {len(told['moments'])} moments, of a failure of two steps"
    return [figure("lab replay --when", "s", [took_s], at_most=S_MAX, note=note)]
