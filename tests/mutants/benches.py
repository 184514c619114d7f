"""Benches: where mutants are looked for. Scenarios with many faults, plans with few."""

from gossip.config import GossipConfig
from lab.checkers import Limits
from lab.mutants import Bench
from lab.scenario import (
    ClockRange,
    DiskErrorRange,
    DiskFullRange,
    DuplicateRange,
    Faults,
    KillRange,
    LossRange,
    ShortWriteRange,
)
from tests.mutants import plans, scripts
from tests.mutants.looking import (
    Drive,
    Held,
    Plans,
    batches,
    hashed,
    observed,
    runs,
    stock,
    swarm,
    variant,
    varied,
)

KILLS = KillRange(count=(2, 5), down_ms=(50, 1500), stop=0.1, together=0.1)
POWER = KillRange(count=(2, 5), down_ms=(50, 1500), power=0.9, stop=0.0, together=0.3)


def directed(
    plans_of: Plans,
    *,
    name: str = "",
    drive: Drive | None = None,
    limits: Limits | None = None,
    held: tuple[Held, ...] = (),
    unknowns: tuple[str, ...] = (),
    but: tuple[str, ...] = (),
) -> Bench:
    about = plans_of.__doc__ or ""
    if drive is not None:
        about = f"{about} {drive.__doc__ or ''}"
    name = name or plans_of.__name__.replace("_", "-")
    return runs(
        name,
        " ".join(about.split()),
        plans_of,
        drive=drive,
        limits=limits,
        held=held,
        unknowns=unknowns,
        but=but,
        directed=True,
    )


SPREAD = variant(
    "lossy",
    "spread",
    "A fifth of all packets is lost, and nobody is suspected: repair has much to do.",
    burst=None,
    duplicate=None,
    reorder=None,
    corrupt=None,
    latency=("exponential",),
    loss=LossRange(share=(0.2, 0.2)),
    gossip=GossipConfig(suspect_after_misses=50),
    narrow=None,
    hold=None,
    latency_min_us=(500, 500),
    latency_mean_us=(1500, 1500),
    posts=(40, 40),
    reads=(0, 0),
    comings=(0, 0),
    faults_ms=(3000, 3000),
    liveness_ms=2000,
    bursts=0.0,
    long_text=0.0,
)
RUMORS = variant(
    "calm",
    "rumors",
    "Eight nodes, and no direct push: news travels as rumors.",
    nodes=(8, 8),
    reads=(0, 0),
    comings=(0, 0),
    faults_ms=(2000, 2000),
    liveness_ms=2000,
    faults=Faults(loss=LossRange(share=(0.05, 0.05))),
    gossip=GossipConfig(direct_peers_max=0),
    latency=("exponential",),
    latency_min_us=(500, 500),
    latency_mean_us=(1500, 1500),
    posts=(12, 12),
    bursts=0.0,
    long_text=0.0,
)
BATCHED = {"spread": SPREAD, "rumors": RUMORS}

BENCHES: list[Bench] = [
    stock("calm"),
    stock("lossy"),
    stock("partition"),
    stock("crash-storm"),
    stock("power-cuts"),
    stock("bit-rot"),
    stock("clock-trouble"),
    stock("churn"),
    varied(
        "power-cuts",
        "sync-errors",
        "Syncs fail, and the power with them.",
        disk_errors=DiskErrorRange(calls=("sync",), count=(2, 4), share=(0.1, 0.5)),
        kill=POWER,
        durability=("always",),
    ),
    varied(
        "crash-storm",
        "short-writes",
        "Writes take a part of what they are given, and processes die.",
        short_writes=ShortWriteRange(share=(0.05, 0.3)),
        kill=KILLS,
    ),
    varied(
        "crash-storm",
        "full-disks",
        "Disks fill up, and processes die.",
        disk_full=DiskFullRange(count=(2, 4), lasts_ms=(500, 3000)),
        kill=KillRange(count=(6, 9), down_ms=(50, 600), stop=0.0, together=0.4),
        segment_bytes=(60_000, 60_000),
    ),
    varied(
        "power-cuts",
        "unsynced-power",
        "Power cuts, and nothing is ever synced.",
        durability=("none",),
        kill=POWER,
    ),
    varied(
        "clock-trouble",
        "clocks-and-kills",
        "Clocks step while processes die and come back.",
        clock=ClockRange(count=(4, 8)),
        kill=KILLS,
    ),
    varied("calm", "odd-texts", "Most texts are in some other script.", odd_text=0.6),
    varied("lossy", "comings-and-goings", "People join and leave all the time.", comings=(20, 40)),
    varied(
        "lossy",
        "repeats",
        "Packets come twice, the second time much later.",
        duplicate=DuplicateRange(share=(0.3, 0.5), delay_ms=(1000, 3000)),
    ),
    varied(
        "churn",
        "older-disk",
        "One node comes back with an older copy of its disk.",
        kill=KillRange(count=(5, 15), down_ms=(50, 1500), stop=0.4, together=0.0, older=1.0),
    ),
    varied(
        "partition",
        "roaming",
        "Few people, who talk to another node each time: what they say arrives in any order.",
        sessions=(2, 3),
        roaming=1.0,
        comings=(20, 30),
    ),
    varied(
        "power-cuts",
        "small-segments",
        "Segments are sealed after a few records, and the power is cut.",
        segment_bytes=(300, 1200),
        kill=POWER,
        durability=("always",),
    ),
    runs(
        "idle",
        "Nothing goes wrong, and once all agree hardly anything is sent.",
        swarm(variant("calm", "idle", "")),
        limits=Limits(idle_packets_s=4.0),
    ),
    batches("spread", SPREAD.about, swarm(SPREAD)),
    batches("rumors", RUMORS.about, swarm(RUMORS)),
    batches("starving", plans.starving.__doc__ or "", plans.starving),
    batches("through-one", plans.through_one.__doc__ or "", plans.through_one),
    batches("catching-up", plans.catching_up.__doc__ or "", plans.catching_up),
    batches("two-gaps", plans.two_gaps.__doc__ or "", plans.two_gaps),
    Bench("observed", "The same run with and without an observer.", observed, "observed"),
    Bench("hashed", "The same run in two processes with other hashes.", hashed, "hashed"),
    runs(
        "rumor-storm",
        "News travels as rumors, and each rumor ends.",
        swarm(RUMORS),
        limits=Limits(packets_per_event=20.0),
    ),
    directed(plans.power_after_ack),
    directed(plans.torn_twice, drive=scripts.dying_disks),
    directed(plans.sync_error_then_power),
    directed(plans.full_for_a_while),
    directed(plans.power_before_sync),
    directed(plans.at_two_nodes),
    directed(plans.heard_and_restarted),
    directed(plans.empty_disk),
    directed(plans.slow_disks),
    directed(plans.restarts),
    directed(plans.last_copy),
    directed(plans.equal_counts),
    directed(plans.one_voice_lost),
    directed(plans.long_partition),
    directed(plans.planned_loss, unknowns=("C17",)),
    directed(plans.hole_for_good),
    directed(plans.clock_far_ahead),
    directed(plans.clock_set_back),
    directed(plans.same_words),
    directed(plans.quiet_and_far, held=(Held("C11", "precision", 0.5),)),
    directed(plans.comes_back, limits=Limits(unsuspected_us=3_000_000)),
    directed(plans.gone_for_long, held=(Held("C13", "found_out", 1),)),
    directed(plans.restarts, name="forked-disk", drive=scripts.older_disk),
    directed(
        plans.back_with_peers,
        name="older-disk-and-peers",
        drive=scripts.older_disk,
        held=(Held("C3", "declared_forks", 0, 0),),
    ),
    directed(plans.restarts, name="other-disk", drive=scripts.strange_disk),
    # A start that repaired a tail and died tells nobody; the next one has nothing to tell.
    directed(
        plans.restarts,
        name="crash-while-opening",
        drive=scripts.last_frame_rots,
        but=("C5",),
    ),
    directed(plans.words_of_others, name="stricter-node", drive=scripts.stricter_rules),
]
