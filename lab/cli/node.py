"""The command `chatlab node run`: runs one node in the foreground, for systemd, a container or
debugging.
"""

from pathlib import Path

import typer

from lab.cli.common import NodeName, settings_of

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Run a single node.",
)


@app.callback()
def group() -> None:
    """Run a single node."""


@app.command()
def run(context: typer.Context, node: NodeName) -> None:
    """Run one node of the cluster file in the foreground until SIGTERM or Ctrl-C."""
    from lab.cluster.foreground import run_node
    from lab.cluster.fork import name_process  # lazy: the whole node

    place = settings_of(context).place()
    name_process(f"chatlab {node}", place.file)
    raise typer.Exit(run_node(place, place.node(node).name, Path(place.file)))
