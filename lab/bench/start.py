"""Measures how long `cluster up -d` (of five and of many nodes) and `send` take, in ms.

Each time is that of a whole process of the command line. Each cluster is new, so its start includes
the launcher and making addresses and folders. The bare baseline is a Python interpreter that ends
at once.
"""

from pathlib import Path

from lab.bench.cluster import COMMAND, cluster_of, command_ms, interpreter_ms
from lab.bench.figures import Bare, Figure, figure
from lab.bench.session import Session

FEW = 5
SENDS = 3  # into each of the small clusters


def run(session: Session) -> list[Figure]:
    scale = session.scale
    bare = Bare("bare interpreter", tuple(interpreter_ms(scale.repeats)))
    sends: list[float] = []
    few = [_up_ms(FEW, sends) for _ in range(scale.repeats)]
    many = [_up_ms(scale.many_nodes, None) for _ in range(scale.repeats_large)]
    return [
        figure(f"cluster up -d, {FEW} nodes", "ms", few, at_most=1000, bare=bare),
        figure(f"cluster up -d, {scale.many_nodes} nodes", "ms", many, at_most=3000, bare=bare),
        figure("send", "ms", sends, at_most=150, bare=bare),
    ]


def _up_ms(count: int, sends: list[float] | None) -> float:
    with cluster_of(count) as cluster:
        folder = Path(cluster.place.file).parent
        took_ms = command_ms([*COMMAND, "cluster", "up", "-d"], folder)
        if sends is not None:
            sends += [command_ms([*COMMAND, "send", "n1", "hello"], folder) for _ in range(SENDS)]
        return took_ms
