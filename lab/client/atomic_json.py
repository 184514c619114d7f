"""Writes small JSON files atomically: a reader finds the old content or the new content, never a
mixture.
"""

import os
from pathlib import Path

import msgspec


def write_json(path: Path, value: object) -> None:
    """Replace a small file atomically, readable by its owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(value) + b"\n")
    os.replace(beside, path)
