"""The content of an event of the chat, as a trace says it."""

from typing import Final

from domain.events import Event, MessagePosted, ParticipantJoined, ParticipantLeft
from lab.trace.kinds import Facts, What

WHATS: Final[dict[type, What]] = {
    MessagePosted: "posted",
    ParticipantJoined: "joined",
    ParticipantLeft: "left",
}


def facts_of(event: Event, text_max: int | None = None) -> Facts:
    """A text of more than `text_max` characters is cut."""
    text = ""
    by: tuple[str, ...] = ()
    if type(event) is MessagePosted:
        text, by = event.text, event.censored_by
    stamp = event.stamp
    parents = tuple([str(parent) for parent in event.parents])
    what = WHATS.get(type(event), "unknown")
    return Facts(
        what=what,
        author=event.author,
        parents=parents,
        stamp_ms=stamp.ms,
        stamp_counter=stamp.counter,
        text=text if text_max is None or len(text) <= text_max else f"{text[:text_max]}…",
        censored_by=by,
    )
