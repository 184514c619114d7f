"""Mutants of the domain and of what stands around it: clocks, causes, orders, moderation, quiet."""

from array import array

from domain.arrival import Arrival
from domain.clock import HybridClock, Stamp
from domain.presence import NO_CHANGE, NOTHING, Presence
from domain.quiet import Quiet
from domain.timeline import Timeline
from node.core.heads import Heads
from node.core.replica import Replica
from tests.mutants.planting import Bed, Swaps

BED = Bed()
planted = BED.planted

# --- clocks -------------------------------------------------------------------------------------


@planted(
    "clock-not-restored",
    "The clock does not remember the stamps of its own past after a restart.",
    "domain.clock.HybridClock.restore",
    "C16 C7 C8",
    "clocks-and-kills",
    "clock-set-back",
)
def clock_not_restored() -> Swaps:
    def restore(self: HybridClock, stamp: Stamp) -> None:
        return

    return [(HybridClock, "restore", restore)]


@planted(
    "skew-followed",
    "A stamp far in the future drags the local clock along.",
    "domain.clock.HybridClock.observe",
    "C16",
    "clock-trouble",
    "clock-far-ahead",
)
def skew_followed() -> Swaps:
    def observe(self: HybridClock, stamp: Stamp, wall_ms: int) -> bool:
        self.restore(stamp)
        return True

    return [(HybridClock, "observe", observe)]


@planted(
    "wall-clock-only",
    "Stamps are the wall clock's: what others stamped moves nothing.",
    "domain.clock.HybridClock.observe",
    "C16 C7 C8",
    "clock-trouble",
)
def wall_clock_only() -> Swaps:
    def observe(self: HybridClock, stamp: Stamp, wall_ms: int) -> bool:
        return stamp.ms <= wall_ms + self.skew_max_ms

    return [(HybridClock, "observe", observe)]


@planted(
    "sorted-by-arrival",
    "The causal order is that of the times of arrival.",
    "domain.arrival.Arrival.key",
    "C16 C10 C7",
    "lossy",
)
def sorted_by_arrival() -> Swaps:
    def key(self: Arrival) -> object:
        dot = self.event.dot
        return (self.received_at_ms, 0, dot.origin, dot.epoch, dot.seq, self.tag)

    return [(Arrival, "key", property(key))]


@planted(
    "clock-runs-ahead",
    "Each stamp is a minute ahead of the largest clock known.",
    "domain.clock.HybridClock.tick",
    "C16",
    "calm",
)
def clock_runs_ahead() -> Swaps:
    original = HybridClock.tick

    def tick(self: HybridClock, wall_ms: int) -> Stamp:
        return original(self, wall_ms + 60_000)

    return [(HybridClock, "tick", tick)]


# --- causes -------------------------------------------------------------------------------------


@planted(
    "parents-lost-on-restart",
    "After a restart the next own event names none of the events that were known.",
    "node.core.replica.Replica.boot",
    "C7",
    "crash-storm",
    "heard-and-restarted",
)
def parents_lost_on_restart() -> Swaps:
    original = Replica.boot

    def boot(self: Replica, now_ms: int, wall_ms: int, why: str, unsynced: int = 0) -> None:
        self._emitter._heads = Heads()
        original(self, now_ms, wall_ms, why, unsynced)

    return [(Replica, "boot", boot)]


@planted(
    "parents-never-named",
    "Own events name no parents.",
    "node.core.heads.Heads.parents",
    "C7",
    "calm",
)
def parents_never_named() -> Swaps:
    return [(Heads, "parents", lambda self, *own: ())]


@planted(
    "holes-hidden",
    "A timeline says that it lacks nothing.",
    "domain.timeline.Timeline.holes",
    "C7",
    "churn",
    "hole-for-good",
)
def holes_hidden() -> Swaps:
    return [(Timeline, "holes", lambda self: [])]


# --- projections --------------------------------------------------------------------------------


@planted(
    "undo-forgets",
    "Undoing an arrival forgets who decided before it.",
    "domain.presence.Presence.rewind",
    "C10",
    "roaming",
    "at-two-nodes",
)
def undo_forgets() -> Swaps:
    def rewind(self: Presence) -> Arrival:
        arrival = self._newest()
        if self._before.pop() != NO_CHANGE:
            self._deciding.pop(arrival.event.author, None)
        self._give_back()
        return arrival

    return [(Presence, "rewind", rewind)]


@planted(
    "undo-forgets-ties",
    "Undoing a late arrival takes its neighbour with the same stamp out of the causal order.",
    "domain.timeline.Timeline.rewind",
    "C10",
    "lossy",
    "roaming",
)
def undo_forgets_ties() -> Swaps:
    original = Timeline.rewind

    def rewind(self: Timeline) -> Arrival:
        causal, undone = self._order(), len(self) - 1
        stamps = [self.arrival(index).event.stamp for index in causal]
        arrival = original(self)
        stamps.remove(arrival.event.stamp)
        if arrival.event.stamp in stamps:
            # The tie's other half is gone, and the undone one stays.
            causal[stamps.index(arrival.event.stamp)] = undone
        return arrival

    return [(Timeline, "rewind", rewind)]


@planted(
    "late-ones-lost",
    "What arrived late is left out of the causal order when that is next read.",
    "domain.timeline.Timeline._order",
    "C10 C4 C8",
    "lossy",
)
def late_ones_lost() -> Swaps:
    def order(self: Timeline) -> "array[int]":
        del self._pending[:]
        return self._causal

    return [(Timeline, "_order", order)]


@planted(
    "late-ones-appended",
    "What arrived late is put at the end of the causal order.",
    "domain.timeline.Timeline._order",
    "C10 C16 C7",
    "lossy",
)
def late_ones_appended() -> Swaps:
    def order(self: Timeline) -> "array[int]":
        self._causal.extend(self._pending)
        del self._pending[:]
        return self._causal

    return [(Timeline, "_order", order)]


@planted(
    "presence-by-arrival",
    "Of two events of a participant the one that came last decides, not the last in causal order.",
    "domain.presence.Presence.apply",
    "C10 C6",
    "roaming",
)
def presence_by_arrival() -> Swaps:
    def apply(self: Presence, arrival: Arrival) -> None:
        index, author = self._take(arrival), arrival.event.author
        before = self._deciding.get(author)
        self._before.append(NOTHING if before is None else before[0])
        self._decide(author, index, arrival)

    return [(Presence, "apply", apply)]


@planted(
    "quiet-deaf-to-others",
    "What comes from other nodes does not end a quiet period.",
    "domain.quiet.Quiet.apply",
    "C11",
    "quiet-and-far",
)
def quiet_deaf_to_others() -> Swaps:
    def quiet_for_ms(self: Quiet, wall_ms: int) -> int:
        came = [self._history[index] for index in range(self._before, len(self))]
        own = [one.received_at_ms for one in came if one.via == "local"]
        since_ms = own[-1] if own else self._watched_ms
        return max(wall_ms - since_ms, 0) if len(self) else 0

    return [(Quiet, "quiet_for_ms", quiet_for_ms)]
