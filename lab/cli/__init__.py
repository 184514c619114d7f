"""The command line `chatlab`. It translates arguments into calls and results into output;
docs/cli.md is its contract.

There is one module for each group of commands. Fast start-up is required: modules import typer and
light parts of `lab` at the top, and everything else inside the command that needs it. A test
asserts which modules `send`, `ps` and `kill` may load.
"""

from lab.cli.main import app, main

__all__ = ["app", "main"]
