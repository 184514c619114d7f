"""A comparison runs variants of one scenario under the same seeds and puts their figures side by
side.

    measured(ways(scenario, ...))      `chatlab lab compare`: ways of spreading events
    measured(grid(scenario, ...))      `chatlab lab sweep`: values of settings

All variants have the same seeds, and each item of a plan draws from a random stream of its own. So
two rows differ by the variant and not by chance. Figures are those of the simulator's ledger:
packets and bytes as they are encoded, per event of the chat.
"""

from collections.abc import Callable, Sequence
from itertools import product
from math import sqrt
from statistics import mean, stdev
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lab.campaign.explore import Options, explore
from lab.checkers import Sample
from lab.plan.scenario import Scenario, ScenarioError
from lab.terminal.tables import Paint, table

POINTS_MAX = 64
Changes = dict[str, object]  # of the knobs of gossip, by name


class Spreading(Struct, frozen=True):
    """A way of spreading events: settings of gossip that every node can use."""

    name: str
    about: str
    gossip: Changes


# The reconciliation of all of them is that of `gossip.reconcile.vector`.
WAYS: tuple[Spreading, ...] = (
    Spreading(
        "push", "Own events go straight to all peers; rounds repair.", {"direct_peers_max": 32}
    ),
    Spreading("rumors", "Rumors to a few peers, until two were no news; rounds repair.", {}),
    Spreading("rumors-k1", "Rumors that cool at the first useless contact.", {"rumor_k": 1}),
    Spreading("rumors-k5", "Rumors that cool at the fifth.", {"rumor_k": 5}),
    Spreading("one-by-one", "Rumors to one peer at a time.", {"fanout": 1}),
    Spreading(
        "eager", "Rumors, and rounds four times as often.", {"round_ms": 50, "idle_round_ms": 250}
    ),
    Spreading(
        "lazy", "Rumors, and rounds a fourth as often.", {"round_ms": 800, "idle_round_ms": 4000}
    ),
)


class Variant(Struct, frozen=True):
    label: str
    scenario: Scenario


class Figures(Struct, frozen=True):
    """The figures of one variant. None: no event was shown at another node."""

    variant: str
    runs: int
    failed: int
    lag_ms: float | None  # from posting to the first showing at another node, mean
    lag_error_ms: float | None  # standard error, over runs
    packets_per_event: float | None
    bytes_per_event: float | None
    relayed: float | None  # share of showings that came from another than the origin
    repaired: float | None  # share that came by anti-entropy


def ways(scenario: Scenario, names: Sequence[str] = ()) -> list[Variant]:
    """One variant of the scenario for each of these ways of spreading. Raises ScenarioError."""
    known = {way.name: way for way in WAYS}
    strange = [name for name in names if name not in known]
    if strange:
        raise ScenarioError(f"no way {strange[0][:40]!r}: there are {', '.join(known)}")
    chosen = [known[name] for name in dict.fromkeys(names)] or list(WAYS)
    return [
        Variant(
            way.name,
            replace(
                scenario, gossip=replace(scenario.gossip, **{"direct_peers_max": 0, **way.gossip})
            ),
        )
        for way in chosen
    ]


def grid(scenario: Scenario, knobs: Sequence[str]) -> list[Variant]:
    """Every combination of values: each knob is `path=value,value`. Raises ScenarioError.

    A path leads through the scenario's file, as in `gossip.round_ms` or `faults.loss.share`. One
    number where the scenario wants a range is both its ends; `0.1..0.3` is a range.
    """
    parsed = [_parsed(knob) for knob in knobs]
    points = 1
    for _, values in parsed:
        points *= len(values)
    if points > POINTS_MAX:
        raise ScenarioError(f"{points} combinations are too many: at most {POINTS_MAX}")
    found = []
    for chosen in product(*[values for _, values in parsed]):
        changed, labels = scenario, []
        for (path, _), value in zip(parsed, chosen, strict=True):
            changed = _with(changed, path, value)
            labels.append(f"{path}={value}")
        found.append(Variant(" ".join(labels), changed))
    return found


def _parsed(knob: str) -> tuple[str, list[str]]:
    path, equals, values = knob.partition("=")
    given = [value for value in values.split(",") if value]
    if not equals or not path or not given:
        raise ScenarioError(f"{knob[:60]!r}: a knob is path=value,value, as in gossip.fanout=1,2,3")
    return path, given


def _with(scenario: Scenario, path: str, value: str) -> Scenario:
    built: dict[str, Any] = msgspec.to_builtins(scenario)
    *folders, last = path.split(".")
    inner = built
    for name in folders:
        step = inner.get(name)
        if step is None:  # a fault that the scenario does not have
            step = inner[name] = {}
        if not isinstance(step, dict):
            raise ScenarioError(f"{path[:60]}: {name} has no parts")
        inner = step
    errors: list[str] = []
    for one in _meant(value):
        inner[last] = one
        try:
            return msgspec.convert(built, Scenario, strict=True)
        except msgspec.ValidationError as error:
            errors.append(str(error))
    raise ScenarioError(f"{path[:60]}={value[:40]}: {errors[0]}")


def _meant(value: str) -> list[object]:
    """What a value may stand for, the likeliest first."""
    low, dots, high = value.partition("..")
    if dots:
        return [[_scalar(low), _scalar(high)]]
    one = _scalar(value)
    return [one, [one], [one, one]]


def _scalar(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


# --- measuring ------------------------------------------------------------------------------------


def measured(
    variants: Sequence[Variant],
    seeds: int,
    first: int = 1,
    jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> list[Figures]:
    """Run each variant under the same seeds; `on_progress` gets (runs done, runs in all)."""
    rows = []
    for number, variant in enumerate(variants):
        before = number * seeds
        found = explore(
            Options((variant.scenario,), first, seeds, jobs),
            lambda one, before=before: on_progress(before + one.runs, seeds * len(variants)),  # type: ignore[misc]
        )
        if found.ended == "interrupted":
            raise KeyboardInterrupt
        samples = found.samples.get(variant.scenario.name, [])
        rows.append(figures(variant.label, samples, found.runs, found.failures_count))
    return rows


def figures(label: str, samples: Sequence[Sample], runs: int, failed: int) -> Figures:
    shown, events = sum(one.showings for one in samples), sum(one.events for one in samples)
    lags_ms = [one.lag_us / one.showings / 1000 for one in samples if one.showings]
    error = stdev(lags_ms) / sqrt(len(lags_ms)) if len(lags_ms) > 1 else None

    def share(of: int, whole: int) -> float | None:
        return of / whole if whole else None

    return Figures(
        variant=label,
        runs=runs,
        failed=failed,
        lag_ms=mean(lags_ms) if lags_ms else None,
        lag_error_ms=error,
        packets_per_event=share(sum(one.packets for one in samples), events),
        bytes_per_event=share(sum(one.bytes for one in samples), events),
        relayed=share(sum(one.relayed for one in samples), shown),
        repaired=share(sum(one.repaired for one in samples), shown),
    )


def table_of(rows: Sequence[Figures], paint: Paint) -> str:
    heads = ["VARIANT", "RUNS", "FAILED", "LAG MS", "+-", "PACKETS/EVENT", "BYTES/EVENT"]
    heads += ["RELAYED", "REPAIRED"]
    lines = [
        [
            row.variant,
            str(row.runs),
            str(row.failed),
            _number(row.lag_ms, ".1f"),
            _number(row.lag_error_ms, ".1f"),
            _number(row.packets_per_event, ".1f"),
            _number(row.bytes_per_event, ".0f"),
            _number(row.relayed, ".0%"),
            _number(row.repaired, ".0%"),
        ]
        for row in rows
    ]
    return table(heads, lines, paint)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
