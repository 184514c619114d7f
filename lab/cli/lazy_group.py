"""A command group that imports a command's module only when the command is called, so that `send`
starts fast.
"""

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

# Command -> the module of lab.cli that has it, as a function of the same name. A module with an
# `app` is a group of commands.
MODULES = {
    "demo": "demo",
    "cluster": "cluster",
    "send": "chat",
    "join": "chat",
    "leave": "chat",
    "timeline": "chat",
    "presence": "chat",
    "status": "inspect_cluster",
    "diff": "inspect_cluster",
    "wait": "inspect_cluster",
    "watch": "watch",
    "stat": "stat",
    "logs": "logs",
    "journal": "journal",
    "moderate": "moderate",
    "keys": "keys",
    "doctor": "doctor",
    "lab": "lab",
    "node": "node",
}


class Commands(MutableMapping[str, Any]):
    """What a TyperGroup takes for its dict of commands. Looking at a name imports nothing."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in MODULES:
            raise KeyError(name)
        if name not in self._loaded:
            self._loaded[name] = _load(name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


class LazyGroup(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = Commands()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  (the name is typer's)
        return list(MODULES)


def _load(name: str) -> Any:
    module = import_module(f"lab.cli.{MODULES[name]}")
    group = getattr(module, "app", None)
    if group is None:
        group = typer.Typer(rich_markup_mode=None, add_completion=False)
        group.command(name)(getattr(module, name))
    command = typer.main.get_command(group)
    command.name = name
    return command
