"""One event as one line of text. Timelines and the tour print it, and the tour compares these lines
between nodes, so in causal order a line contains only what is the same on every node.
"""

from domain.events import MessagePosted, ParticipantJoined, ParticipantLeft
from lab.terminal.display import display_safe
from lab.terminal.formats import dot_text, utc_text
from lab.terminal.tables import Paint
from node.control.messages import TimelineItem


def item_text(item: TimelineItem, order: str, paint: Paint) -> str:
    """One line. In causal order: node-independent data only."""
    event = item.event
    author = paint(display_safe(event.author), "bold")
    if type(event) is MessagePosted:
        says = f"{author}: {display_safe(event.text)}"
        if event.censored_by:
            says += paint(f"  [censored by {display_safe(', '.join(event.censored_by))}]", "dim")
    elif type(event) is ParticipantJoined:
        says = f"{author} joined"
    elif type(event) is ParticipantLeft:
        says = f"{author} left"
    else:
        says = f"{author}: an event of a kind that this version does not know"
    stamp = f"{utc_text(event.stamp.ms)}/{event.stamp.counter}"
    head = paint(f"{stamp}  {dot_text(event.dot)}", "dim")
    if order == "arrival":
        came = f"{utc_text(item.received_at_ms)}  {item.via:<12}"
        head = paint(f"{came}  {dot_text(event.dot)}", "dim")
        says += paint("  [skewed stamp]", "yellow") if item.skewed else ""
    return f"{head}  {says}"
