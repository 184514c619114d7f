"""Help, and the commands to copy: shown in the place of a page until the key is pressed again."""

import shlex

from lab.view.cluster_view import ClusterView
from lab.watch.look import Look
from lab.watch.screen_line import Line, cell

HELP = """\
Pages
  1 nodes      2 timelines   3 links    4 workers and queues
  5 people     6 latency     7 log
Time
  Left, Right        a fifth of a second back or forward
  Shift, or < and >  five seconds at once
  Home, End          the earliest moment that is kept; now
  Space              stop and go on (a recorded run plays)
Choosing
  Up, Down           a node; Enter: all about it; Esc: back
  PgUp, PgDn         scroll messages and the log
  /                  filter: n2 warning cut keeps lines of n2, of this level and
                     above, with this text; Esc clears it
  c                  commands to copy, for the selected node
  q, Ctrl-C          end
It only looks on. What it shows is what reached it: a local view, perhaps late.\
"""


def help_page(view: ClusterView, look: Look, width: int, height: int) -> list[Line]:  # noqa: ARG001
    return [[cell(text, width)] for text in HELP.splitlines()][:height]


def commands_of(node: str, others: list[str], file_option: str) -> list[tuple[str, str]]:
    """What one can do to a node, and the command that does it."""
    name = shlex.quote(node)
    apart = f"partition {name} {','.join(map(shlex.quote, others))}" if others else ""
    verbs = [
        ("kill", f"cluster kill {name}"),
        ("start again", f"cluster restart {name}"),
        ("pause", f"cluster pause {name}"),
        ("resume", f"cluster resume {name}"),
        ("cut it off", f"cluster {apart}" if apart else ""),
        ("spoil links", f"cluster fault {name} --loss 30% --delay 50ms"),
        ("heal links", "cluster heal"),
        ("say something", f'send {name} "hello"'),
        ("read", f"timeline {name} --last 20"),
        ("its log", f"logs {name} -f"),
    ]
    return [(what, f"chatlab {file_option}{verb}") for what, verb in verbs if verb]


def commands_page(view: ClusterView, look: Look, width: int, height: int) -> list[Line]:
    if look.recorded:
        return [[("This run is recorded: there is nothing to kill or to heal.", "")]]
    others = [name for name in view.nodes if name != look.selected]
    lines: list[Line] = [
        [cell(f"Commands for {look.selected}: copy one into another terminal.", width, "head")],
        [],
    ]
    for what, command in commands_of(look.selected, others, look.file_option):
        first, *rest = _folded(command, width - 16)
        lines.append([cell(f"  {what}", 16, "dim"), cell(first, width - 16)])
        lines += [[cell("", 16), cell(part, width - 16)] for part in rest]
    return lines[:height]


def _folded(command: str, width: int) -> list[str]:
    """The command in lines that a shell joins again: all but the last end in a backslash."""
    room = max(width, 20) - 1
    parts = [command[at : at + room] for at in range(0, len(command), room)]
    return [*(f"{part}\\" for part in parts[:-1]), parts[-1]]
