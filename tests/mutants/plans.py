"""Directed plans: each makes one kind of bug show within seconds, whatever the seed draws.

Names of sessions, authors and nodes are short; times are milliseconds from the start, and nodes are
up from 100 ms on.
"""

from collections.abc import Sequence
from random import Random
from typing import Literal

from msgspec.structs import replace

from gossip.config import GossipConfig
from lab.plan.faults import (
    ClockOffset,
    DiskErrors,
    DiskFull,
    Duplicate,
    Fault,
    Hold,
    Kill,
    Loss,
    Narrow,
    NetworkOptions,
    Op,
    Partition,
    Plan,
    Point,
    SlowSync,
    Timed,
)

MS = 1000
NEVER_MS = 10**6  # until the phase of faults ends


def nodes(count: int) -> tuple[str, ...]:
    return tuple([f"n{number}" for number in range(1, count + 1)])


def post(
    at_ms: int,
    node: str,
    text: str = "",
    ack: Literal["written", "durable", "replicated"] = "durable",
    copies: int = 0,
    author: str = "",
) -> Op:
    """Each post has a session of its own. The id is given by `plan`."""
    text = text or f"message of {node} at {at_ms}"
    session = f"{node}-{at_ms}"
    return Op(0, at_ms * MS, session, node, "post", author or node, text, ack, copies)


def fault(at_ms: int, until_ms: int, what: Fault) -> Timed:
    return Timed(0, at_ms * MS, until_ms * MS, what)


def apart(at_ms: int, until_ms: int, left: Sequence[str], right: Sequence[str]) -> Timed:
    """Nothing goes between the two sides, either way."""
    cuts = [(a, b) for a in left for b in right] + [(b, a) for a in left for b in right]
    return fault(at_ms, until_ms, Partition("halves", tuple(cuts)))


def alone(at_ms: int, until_ms: int, node: str, count: int = 5) -> Timed:
    others = [one for one in nodes(count) if one != node]
    return apart(at_ms, until_ms, [node], others)


def plan(
    name: str,
    seed: int,
    ops: Sequence[Op],
    faults: Sequence[Timed] = (),
    *,
    count: int = 5,
    faults_ms: int = 3000,
    liveness_ms: int = 5000,
    gossip: GossipConfig | None = None,
) -> Plan:
    return Plan(
        name,
        seed,
        nodes(count),
        faults_ms * MS,
        liveness_ms * MS,
        tuple([replace(op, id=number) for number, op in enumerate(ops, start=1)]),
        tuple([replace(one, id=number) for number, one in enumerate(faults, start=1)]),
        gossip=gossip or GossipConfig(),
        boot_spread_us=50 * MS,
    )


# --- disks --------------------------------------------------------------------------------------


def power_after_ack(seed: int) -> Plan:
    """n1 is alone, its disk is slow, and the power fails while its only event is being synced."""
    faults = [
        alone(250, 2000, "n1"),
        fault(250, 2000, SlowSync("n1", 20_000_000)),
        fault(420, 900, Kill("n1", "power")),
    ]
    return plan("power-after-ack", seed, [post(400, "n1")], faults)


def torn_twice(seed: int) -> Plan:
    """n1 dies in the middle of a write, comes back, goes on, and dies again."""
    faults = [
        fault(450, 900, Point("n1", "mid_write", 1.0, 1, 200 * MS)),
        fault(1500, 1700, Kill("n1")),
        fault(2000, 2200, Kill("n1", "power")),
    ]
    ops = [post(at, "n1") for at in (300, 350, 500, 1000, 1100, 1200, 1800)]
    return plan("torn-twice", seed, ops, faults)


def sync_error_then_power(seed: int) -> Plan:
    """In a relaxed mode n1's sync fails, the process starts again, and then the power fails."""
    faults = [
        alone(350, 2800, "n1"),
        fault(390, 700, DiskErrors("n1", "sync", 1.0)),
        fault(750, 800, Kill("n1")),  # else it is left to chance whether it is started again
        fault(1500, 1700, Kill("n1", "power")),
    ]
    made = plan("sync-error-then-power", seed, [post(at, "n1") for at in (400, 450, 1000)], faults)
    return replace(made, durability="interval")


def full_for_a_while(seed: int) -> Plan:
    """n1's disk is full in the middle of a write; later there is room again, and it is killed."""
    faults = [
        fault(420, 900, DiskFull("n1", 60 + seed % 20)),
        fault(1600, 1800, Kill("n1")),
        fault(2200, 2400, Kill("n1", "power")),
    ]
    ops = [post(at, "n1") for at in (300, 450, 470, 1000, 1100, 2000)]
    return plan("full-for-a-while", seed, ops, faults)


def power_before_sync(seed: int) -> Plan:
    """In a relaxed mode n1 loses what others have got already, and posts before they tell it."""
    faults = [
        fault(430, 600, Kill("n1", "power")),
        alone(440, 2000, "n1"),
    ]
    made = plan("power-before-sync", seed, [post(400, "n1"), post(1200, "n1")], faults)
    return replace(made, durability="interval", interval_ms=200)


def empty_disk(seed: int) -> Plan:
    """n1 says something, loses its disk, and says something else before anybody can tell it."""
    faults = [
        fault(600, 800, Kill("n1", disk="empty")),
        alone(700, 2000, "n1"),
    ]
    return plan("empty-disk", seed, [post(300, "n1"), post(1200, "n1")], faults)


def slow_disks(seed: int) -> Plan:
    """All disks but n1's are slow, and n1 asks for copies."""
    faults = [fault(200, NEVER_MS, SlowSync(node, 500 * MS)) for node in nodes(5)[1:]]
    ops = [post(400 + 100 * at, "n1", "", "replicated", 2) for at in range(5)]
    return plan("slow-disks", seed, ops, faults)


def restarts(seed: int) -> Plan:
    """n1 posts, is killed at 700 ms, comes back at 1000, and posts again, alone for a while."""
    ops = [post(at, "n1") for at in (300, 350, 400, 550, 600, 1200)]
    ops += [post(at, "n2") for at in (320, 650, 1250)]
    return plan("restarts", seed, ops, [fault(700, 1000, Kill("n1")), alone(650, 1600, "n1")])


def back_with_peers(seed: int) -> Plan:
    """n1 posts, is killed at 700 ms, comes back at 1000, hears its peers, and posts again."""
    ops = [post(at, "n1") for at in (300, 350, 400, 550, 600, 1800)]
    return plan("back-with-peers", seed, ops, [fault(700, 1000, Kill("n1"))])


# --- links --------------------------------------------------------------------------------------


def last_copy(seed: int) -> Plan:
    """n1 posts while only n2 hears it, and loses its disk for good: n2 must tell the others."""
    faults = [
        apart(250, 2000, ["n1"], nodes(5)[2:]),
        apart(250, 2000, ["n2"], nodes(5)[2:]),
        fault(700, 2500, Kill("n1", disk="empty")),
    ]
    return plan("last-copy", seed, [post(400, "n1")], faults)


def through_one(seed: int) -> Plan:
    """Between n1 and n3, n4, n5 nothing goes: what n1 says reaches them through n2, or late."""
    rng = Random(f"through one {seed}")
    at_ms = [rng.randrange(300, 3500) for _ in range(12)]
    faults = [apart(250, 6000, ["n1"], nodes(5)[2:])]
    ops = [post(at, "n1") for at in sorted(set(at_ms))]
    return plan("through-one", seed, ops, faults, faults_ms=6000, liveness_ms=2000)


def catching_up(seed: int) -> Plan:
    """n3 is down while others post, comes back, and has to ask for what it missed."""
    ops = [post(500 + 100 * at, f"n{1 + at % 2}") for at in range(18)]
    return plan("catching-up", seed, ops, [fault(400, 2400, Kill("n3"))], faults_ms=4000)


def heard_and_restarted(seed: int) -> Plan:
    """n2 hears of n1's event, starts again, and posts: that is an answer to what it had heard."""
    faults = [alone(450, 1500, "n2"), fault(500, 700, Kill("n2"))]
    ops = [post(300, "n1"), post(350, "n3"), post(900, "n2")]
    return plan("heard-and-restarted", seed, ops, faults)


def equal_counts(seed: int) -> Plan:
    """Both sides of a partition post as often as each other."""
    faults = [apart(250, 1500, ["n1"], ["n2"])]
    return plan("equal-counts", seed, [post(400, "n1"), post(450, "n2")], faults, count=2)


def one_voice_lost(seed: int) -> Plan:
    """Two nodes, a partition long enough for one unanswered call each, and short of suspicion."""
    faults = [apart(250, 2500, ["n1"], ["n2"])]
    return plan("one-voice-lost", seed, [post(400, "n1"), post(450, "n2")], faults, count=2)


def long_partition(seed: int) -> Plan:
    """Two halves that take each other for dead, and post all the while."""
    left, right = nodes(4)[:2], nodes(4)[2:]
    ops = [post(at, node) for at in (400, 3000, 7000) for node in ("n1", "n3")]
    faults = [apart(250, 8000, left, right)]
    return plan("long-partition", seed, ops, faults, count=4, faults_ms=8000)


def everything_twice(seed: int) -> Plan:
    """Each packet comes once more, up to a second later, when much else has come."""
    ops = [post(300 + 40 * at, f"n{1 + at % 5}") for at in range(25)]
    faults = [fault(200, NEVER_MS, Duplicate(1.0, 1000 * MS))]
    return plan("everything-twice", seed, ops, faults, faults_ms=2000, liveness_ms=200)


def planned_loss(seed: int) -> Plan:
    """A third of all packets is to be lost."""
    ops = [post(300 + 50 * at, f"n{1 + at % 5}") for at in range(20)]
    return plan("planned-loss", seed, ops, [fault(200, NEVER_MS, Loss(0.3))])


def hole_for_good(seed: int) -> Plan:
    """n2 answers n1's event, which nobody else got, and both lose their disks: a hole is left."""
    others = nodes(5)[2:]
    faults = [
        apart(250, 2500, ["n1"], others),
        fault(440, 2500, Hold(tuple([("n2", node) for node in others]))),
        fault(430, 2500, Kill("n1", disk="empty")),
        fault(445, 2500, Kill("n2", disk="empty")),
    ]
    ops = [post(400, "n1"), post(425, "n2")]
    gossip = GossipConfig(round_ms=1000)
    return plan("hole-for-good", seed, ops, faults, gossip=gossip)


def starving(seed: int) -> Plan:
    """n1 missed a long backlog of n2 and a few words of the others, and its links are narrow."""
    faults = [
        alone(250, 2000, "n1"),
        fault(1900, NEVER_MS, Narrow(400_000, 4_000_000)),
    ]
    ops = [post(300 + 30 * at, "n2", "b" * 30_000) for at in range(40)]
    ops += [post(400 + 40 * at, f"n{3 + at % 3}") for at in range(30)]
    made = plan("starving", seed, ops, faults, faults_ms=7000, liveness_ms=2000)
    return replace(made, network=NetworkOptions("uniform", 500, 1500))


# --- clocks, words and silences -----------------------------------------------------------------


def clock_far_ahead(seed: int) -> Plan:
    """n2's clock is ten minutes ahead; what n1 says afterwards must not be."""
    faults = [fault(200, NEVER_MS, ClockOffset("n2", 600_000))]
    ops = [post(400, "n2"), post(800, "n1"), post(900, "n3")]
    return plan("clock-far-ahead", seed, ops, faults)


def clock_set_back(seed: int) -> Plan:
    """n1's clock is ahead while it posts, and right again when it comes back."""
    faults = [fault(200, 900, ClockOffset("n1", 100_000)), fault(700, 1000, Kill("n1"))]
    return plan("clock-set-back", seed, [post(400, "n1"), post(1300, "n1")], faults)


def same_words(seed: int) -> Plan:
    """Everybody says the same."""
    ops = [post(300 + 100 * at, f"n{1 + at % 5}", "good morning") for at in range(10)]
    return plan("same-words", seed, ops)


def words_of_others(seed: int) -> Plan:
    """Everybody but n2 posts, and judges less strictly; n5 loses its disk and asks n2 alone."""
    ops = [post(300 + 100 * at, f"n{(1, 3, 4, 5)[at % 4]}") for at in range(20)]
    faults = [
        fault(1400, 2000, Kill("n5", disk="empty")),
        apart(1900, 2700, ["n5"], ["n1", "n3", "n4"]),
    ]
    return plan("words-of-others", seed, ops, faults)


def at_two_nodes(seed: int) -> Plan:
    """Somebody speaks at n2, which is alone, and then at n1: others hear it the other way round."""
    ops = [post(400, "n2", author="ana"), post(600, "n1", author="ana")]
    return plan("at-two-nodes", seed, ops, [alone(250, 1500, "n2")])


def quiet_and_far(seed: int) -> Plan:
    """Only n1 speaks, every 700 ms: elsewhere nobody may take the time between for quiet."""
    ops = [post(300 + 700 * at, "n1") for at in range(12)]
    made = plan("quiet-and-far", seed, [*ops, post(320, "n2")], faults_ms=9000)
    return replace(made, quiet_ms=1000)


def comes_back(seed: int) -> Plan:
    """n2 is away long enough to be suspected, and comes back."""
    faults = [fault(400, 5000, Kill("n2"))]
    return plan("comes-back", seed, [post(300, "n1"), post(5200, "n2")], faults, faults_ms=5500)


def gone_for_long(seed: int) -> Plan:
    """n2 is away so long that somebody must notice."""
    faults = [fault(400, 6000, Kill("n2"))]
    return plan("gone-for-long", seed, [post(300, "n1"), post(350, "n3")], faults, faults_ms=6500)


def two_gaps(seed: int) -> Plan:
    """n1 posts in a row while half of all packets are lost: others hold it in pieces."""
    ops = [post(300 + 5 * at, "n1") for at in range(60)]
    made = plan("two-gaps", seed, ops, [fault(200, NEVER_MS, Loss(0.5))], faults_ms=4000)
    return replace(made, gossip=GossipConfig(round_ms=300))
