"""Builds the notes that a replica logs, and the states of peers that `status` shows. Values only.

The names of notes are registered in `node.process.structured_log`; docs/notes.md explains them.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from domain.arrival import Via
from domain.events import Event
from gossip.admission import Learnt
from gossip.engine import Engine
from gossip.entry import Entry
from gossip.incarnation import start_of
from gossip.membership import Change, State
from gossip.places import Places
from node.core.ports import Fields, Note

STATE_NAMES: dict[State, Literal["alive", "suspect", "dead"]] = {
    State.ALIVE: "alive",
    State.SUSPECT: "suspect",
    State.DEAD: "dead",
}


class PeerState(Struct, frozen=True):
    """What this node believes of a peer."""

    state: Literal["alive", "suspect", "dead"]
    incarnation: int  # its start, as far as is known here
    last_heard_ms: int | None  # milliseconds ago; None: never
    in_sync: bool  # the root it named last is ours
    rounds: int  # exchanges that we began and it answered


def peer_states(engine: Engine[Event], now_ms: int) -> dict[str, PeerState]:
    root = engine.frontier.root
    return {
        member.name: PeerState(
            STATE_NAMES[member.state],
            start_of(member.incarnation),
            None if member.heard_ms is None else max(now_ms - member.heard_ms, 0),
            engine.rounds.agrees(member.name, root),
            engine.exchanges[member.name],
        )
        for member in engine.members
    }


def membership_note(change: Change) -> Note:
    state = STATE_NAMES[change.state]
    fields: Fields = {
        "peer": change.name,
        "start": start_of(change.incarnation),
        "because": change.because,
    }
    return Note(f"peer_{state}", "info" if state == "alive" else "warning", fields)


def places_note(whose: str, places: Places) -> Note:
    """There was no place for a further log of this origin; told once in a life."""
    fields: Fields = {"origin": whose or "not configured", "origins": places.origins}
    return Note("places_full", "warning", {**fields, "logs": len(places)})


def received_note(peer: str, via: Via, learnt: Sequence[Learnt[Event]]) -> Note:
    """One note for all that a packet brought; `dot` is the last of them."""
    size = sum(len(item.entry.data) for item in learnt)
    return _events("events_received", size, [item.entry for item in learnt], peer=peer, via=via)


def posted_note(entries: Sequence[Entry]) -> Note:
    size = sum(len(entry.data) for entry in entries)
    return _events("events_posted", size, entries)


def _events(event: str, size: int, entries: Sequence[Entry], **more: str) -> Note:
    fields: Fields = {"events": len(entries), "bytes": size, "dot": str(entries[-1].dot), **more}
    return Note(event, "info", fields)
