"""Runs one node in this process, in the foreground, with a pid file while it runs."""

import os
from pathlib import Path

from lab.client.atomic_json import write_json
from lab.client.location import ClusterLocation
from lab.cluster.processes import live_record, record_of


def run_node(place: ClusterLocation, name: str, file: Path) -> int:
    """Run the node until SIGTERM or Ctrl-C; returns the exit code."""
    from node.__main__ import run  # lazy: the whole node

    pid_file = Path(place.nodes[name].pid_file)

    def ready() -> None:
        """The data directory is ours by now, so the pid file is as well."""
        record = record_of(os.getpid(), pid_file)
        if record is not None:
            write_json(pid_file, record)

    try:
        return run(name, file, ready)
    finally:
        record = live_record(pid_file)
        if record is not None and record.pid == os.getpid():
            pid_file.unlink(missing_ok=True)
