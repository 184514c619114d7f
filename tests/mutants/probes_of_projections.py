"""Probes of `projections`."""

from domain.clock import HybridClock, Stamp
from domain.events import Event, MessagePosted
from domain.moderation import Moderator, Policy, Rule
from domain.presence import Presence
from domain.quiet import Quiet
from domain.timeline import Timeline
from domain.verdict import Censored
from tests.domain.builders import arrival, joined, left, posted
from tests.mutants.probing import probes
from tests.node.replicas import POLICY, Node, exchange

STRICT = Policy((Rule("strict", ("hello",), "censor"),), ())


def event_of(node: Node) -> Event:
    """The newest one."""
    return node.replica.timeline.select("arrival")[-1].event


@probes("clock-not-restored")
def a_clock_knows_its_past() -> bool:
    clock = HybridClock()
    clock.restore(Stamp(5, 0))
    return clock.last == Stamp(5, 0)


@probes("skew-followed")
def a_stamp_from_the_future_is_not_followed() -> bool:
    return not HybridClock().observe(Stamp(10**9, 0), 5)


@probes("wall-clock-only")
def a_stamp_of_others_is_passed() -> bool:
    clock = HybridClock()
    clock.observe(Stamp(5, 0), 3)
    return clock.tick(3) > Stamp(5, 0)


@probes("sorted-by-arrival")
def the_order_is_that_of_stamps() -> bool:
    return arrival(posted("n1:1", 5), at_ms=1).key[0] == 5


@probes("clock-runs-ahead")
def a_stamp_is_the_wall_clocks() -> bool:
    return HybridClock().tick(5) == Stamp(5, 0)


def parents_after(restart: bool) -> bool:
    node, peer = Node("n1", ("n2",)), Node("n2", ("n1",))
    peer.post()
    exchange(node, peer)
    if restart:
        node = node.restarted()
    node.post()
    return len(event_of(node).parents) == 1


@probes("parents-lost-on-restart")
def what_was_known_before_a_restart_is_named() -> bool:
    return parents_after(restart=True)


@probes("parents-never-named")
def what_is_known_is_named() -> bool:
    return parents_after(restart=False)


@probes("holes-hidden")
def a_hole_is_told() -> bool:
    return bool(Timeline([arrival(posted("n1:2"))]).holes())


@probes("undo-forgets")
def undo_knows_who_decided_before() -> bool:
    presence = Presence()
    presence.apply(arrival(joined("n1:1", 1)))
    presence.apply(arrival(posted("n1:2", 2)))
    presence.rewind()
    found = presence.of("ana")
    return found is not None and found.because == "joined"


@probes("undo-forgets-ties")
def undo_tells_ties_apart() -> bool:
    first, tied = arrival(posted("n2:1", 5)), arrival(posted("n1:1", 5))
    timeline = Timeline([first, tied])
    timeline.rewind()
    return timeline.select("causal") == [first]


@probes("late-ones-lost", "late-ones-appended")
def late_ones_go_where_they_belong() -> bool:
    newer, late = arrival(posted("n2:1", 5)), arrival(posted("n1:1", 3))
    return Timeline([newer, late]).select("causal") == [late, newer]


@probes("presence-by-arrival")
def the_last_in_causal_order_decides() -> bool:
    presence = Presence()
    presence.apply(arrival(left("n2:1", 5)))
    presence.apply(arrival(joined("n1:1", 3)))
    return not presence.is_active("ana")


@probes("quiet-deaf-to-others")
def what_others_say_ends_a_silence() -> bool:
    quiet = Quiet(10)
    quiet.apply(arrival(posted("n1:1"), 0, "local"))
    quiet.apply(arrival(posted("n2:1"), 100))
    return quiet.quiet_for_ms(105) == 5


@probes("moderation-skipped")
def a_banned_word_is_seen() -> bool:
    return type(Moderator(POLICY).judge("dang it")) is Censored


@probes("censored-in-part")
def a_banned_word_is_replaced_whole() -> bool:
    verdict = Moderator(POLICY).judge("dang it")
    return type(verdict) is Censored and verdict.text == "**** it"


@probes("normalised")
def a_text_is_emitted_as_it_is() -> bool:
    node = Node()
    node.post("\ufb01n")
    return node.texts == ["\ufb01n"]


@probes("rules-unnamed")
def rules_that_censored_are_named() -> bool:
    node = Node()
    node.post("dang it")
    event = event_of(node)
    return type(event) is MessagePosted and event.censored_by == ("mild",)


@probes("moderated-on-receive", "rejected-on-receive")
def a_receivers_rules_are_not_asked() -> bool:
    node, peer = Node("n1", ("n2",)), Node("n2", ("n1",))
    node.replica.set_policy(STRICT)
    peer.post("hello")
    exchange(node, peer)
    return node.texts == ["hello"]


@probes("rules-rewrite-log")
def new_rules_change_no_bytes() -> bool:
    node = Node()
    node.post("hello")
    (log,) = node.replica.frontier
    before = node.replica.frontier.store.get(log.id, 1)
    node.replica.set_policy(STRICT)
    return node.replica.frontier.store.get(log.id, 1) == before
