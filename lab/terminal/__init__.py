"""Output to a terminal: safe text, tables, values, one-line errors with exit codes.

Anyone may import this room. It imports the messages of `node.control`, and no other room of `lab`.

Rules
- A text that a stranger wrote reaches a terminal through `display.display_safe`, and no other way:
  control characters, bidirectional overrides and whatever hides text are shown as escapes.
- An error is a `Problem`: one line that says what is wrong, where and what to do, with an exit code
  of `errors.Exit`. The table of codes is in docs/cli.md.
- Output that is piped has no colours and is never cut.

Read `display`, then `tables` and `formats`. `event_line` is how an event reads, `moments` how
people write times, `shadows` finds a foreign package of the name of one of ours.
"""
