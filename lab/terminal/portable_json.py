"""Epochs become text in JSON output, because most JSON readers would round them.

Most readers keep numbers as floating point, which is exact up to 2^53 only, and an epoch has 63
bits. So every field named `epoch` is text in all that chatlab prints, in lower-case hexadecimal as
in the logs.
"""

from typing import Any

from domain.dot import epoch_hex


def portable(built: Any) -> Any:
    """A copy of built-in values with every epoch as text."""
    if isinstance(built, dict):
        return {
            name: epoch_hex(of) if name == "epoch" and type(of) is int else portable(of)
            for name, of in built.items()
        }
    if isinstance(built, list | tuple):
        return [portable(one) for one in built]
    return built
