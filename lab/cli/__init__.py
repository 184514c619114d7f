"""`chatlab`: what people touch. The contract is in docs/cli.md; this package only translates.

One module per group of commands. Start-up time is a feature: modules import typer and light parts
of `lab` at the top and everything else inside the command that needs it. A test asserts which
modules `send`, `ps` and `kill` may load.
"""

from lab.cli.main import app, main

__all__ = ["app", "main"]
