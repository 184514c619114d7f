"""A cluster for a bench: in a folder of its own, and gone afterwards."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lab.cluster import Cluster
from lab.places import parse


@contextlib.contextmanager
def cluster_of(count: int, more: str = "") -> Iterator[Cluster]:
    """That many nodes, not started yet. `more` is added to the cluster file."""
    folder = Path(tempfile.mkdtemp(prefix="chatlab-bench-"))
    file = folder / "cluster.yaml"
    names = ", ".join(f"n{number}" for number in range(1, count + 1))
    file.write_text(f"nodes: [{names}]\n{more}", encoding="utf-8")
    cluster = Cluster(parse(file))
    try:
        yield cluster
    finally:
        cluster.down()
        shutil.rmtree(folder, ignore_errors=True)
