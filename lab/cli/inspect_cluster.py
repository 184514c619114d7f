"""The commands that compare and examine running nodes: `status`, `diff`, `wait`. They change
nothing.
"""

import sys
from typing import TYPE_CHECKING, Annotated, cast

import typer

from lab.cli.common import (
    Check,
    Json,
    NodeName,
    Settings,
    SomeNodes,
    emit,
    first_problem,
    hint,
    nodes_of,
    seconds,
    settings_of,
)
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from lab.client.location import ClusterLocation
    from lab.observe.convergence import Missing, Roots
    from lab.terminal.tables import Paint
    from node.control.messages import FrontierPage, PlacesStatus, Status


def status(context: typer.Context, nodes: SomeNodes = None, json: Json = False) -> None:
    """Show what nodes say of themselves: state, root, frontier, peers, workers."""
    from lab.client.panel import statuses_of  # lazy: zmq and msgspec

    settings = settings_of(context)
    if settings.elsewhere is not None:
        _status_elsewhere(settings, nodes, json)
        return
    place = settings.place()
    names = nodes_of(place, nodes)
    found = statuses_of(place.nodes[name] for name in names)
    for name in names:
        if name in found and json:
            emit(_status_json(found[name]))
        elif name in found:
            _show_status(found[name], settings.paint)
    silent = [name for name in names if name not in found]
    if nodes or not found:
        first_problem([Problem(_silent(place, name), Exit.UNREACHABLE) for name in silent])
    elif silent and not json:
        hint(f"no answer from {', '.join(silent)}: see `chatlab cluster ps`")


def _silent(place: "ClusterLocation", name: str) -> str:
    """Why a node says nothing, as far as one can see from here."""
    from lab.cluster.cluster import Cluster

    cluster = Cluster(place)
    if cluster.process(name) is None:
        return f"{name} is not running: start it with `chatlab cluster restart {name}`"
    if cluster.paused(name):
        return f"{name} is paused: wake it with `chatlab cluster resume {name}`"
    return f"{name} does not answer: see `chatlab cluster ps`"


def _status_elsewhere(settings: Settings, nodes: list[str] | None, json: bool) -> None:
    from lab.client.client import Client
    from node.control.messages import ReadStatus, Status

    if nodes is None or len(nodes) != 1:
        raise Problem("name the one node that --control leads to", Exit.USAGE)
    with Client.at(settings.node(nodes[0])) as client:
        found = client.expect(ReadStatus(client.new_id()), Status)
    if json:
        emit(_status_json(found))
    else:
        _show_status(found, settings.paint)


def _status_json(status: "Status") -> dict[str, object]:
    import msgspec

    built: dict[str, object] = msgspec.to_builtins(status)
    built.pop("id")
    built.pop("type", None)
    built["durable_upto"] = status.durable_upto
    for peer in cast(dict[str, dict[str, object]], built["peers"]).values():
        peer["fault"] = peer.pop("link")
    return built


def _full_text(places: "PlacesStatus") -> str:
    """Who has used up the places for logs, and what that has cost."""
    from lab.terminal.display import display_safe

    whose = [display_safe(name) if name else "names not configured" for name in places.full]
    return (
        f"full: {places.origins:,} origins, {places.logs:,} logs; {places.refused:,} entries "
        f"refused ({', '.join(whose)})"
    )


def _show_status(status: "Status", paint: "Paint") -> None:
    from domain.clock import SKEW_MAX_MS
    from lab.terminal.display import display_safe
    from lab.terminal.formats import counted, epoch_text, log_text, ranges_text
    from lab.terminal.tables import STATE_COLOURS, duration, table

    state = paint(display_safe(status.state), STATE_COLOURS.get(status.state))
    missing = f", {status.missing} known to be missing" if status.missing else ""
    events = counted(status.events, "event")
    settled = "looks stable (a guess)" if status.stable else "not settled"
    print(f"{paint(display_safe(status.node), 'bold')}  {state}  {events}{missing}")
    print(
        f"  root {display_safe(status.root[:16])}  epoch {epoch_text(status.epoch)}\n"
        f"  {settled}, quiet for {duration(status.quiet_for_ms)}, up {duration(status.uptime_ms)}"
    )
    print(
        f"  journal {display_safe(status.durability)}: {status.written_upto} records written, "
        f"{status.durable_upto} durable"
    )
    scrubbed = status.counters.get("scrub_bytes", 0)
    if scrubbed:
        damaged = status.counters["scrub_damaged"]
        passes = f"{status.counters['scrub_passes']} passes, {scrubbed} bytes"
        text = f"  scrub: {passes} read again, {damaged} damaged places found"
        print(paint(text, "red" if damaged else None))
    if status.places.full:
        print(paint(f"  {_full_text(status.places)}", "red"))
    if status.stamps_ahead_ms > SKEW_MAX_MS:
        ahead = duration(status.stamps_ahead_ms)
        print(paint(f"  own stamps run {ahead} ahead of its clock, which was wrong", "yellow"))
    if status.forked:
        print(paint(f"  forked: {display_safe(', '.join(status.forked))}", "red"))
    logs = [
        [
            log_text(log.origin, log.epoch),
            f"1-{log.prefix}" if log.prefix else "-",
            ranges_text(log.ranges) or "-",
            log.head[:12],
            "forked" if log.forked else "",
        ]
        for log in status.frontier
    ]
    if logs:
        head = ["LOG", "HELD", "ABOVE A GAP", "HEAD", ""]
        _indented(table(head, logs, paint, _inner_width()))
    if len(logs) < status.places.logs:
        print(f"  {len(logs)} of {status.places.logs:,} logs shown")
    peers = [
        [
            name,
            peer.state,
            "in sync" if peer.in_sync else "-",
            duration(peer.last_heard_ms) if peer.last_heard_ms is not None else "never",
            str(sum(peer.dropped.values())),
            display_safe(peer.fault),
        ]
        for name, peer in status.peers.items()
    ]
    if peers:
        head = ["PEER", "STATE", "ROOTS", "HEARD AGO", "DROPPED", "FAULT"]
        _indented(table(head, peers, paint, _inner_width()))
    workers = [
        f"{name} {worker.state}" + (f" ({worker.restarts} restarts)" if worker.restarts else "")
        for name, worker in status.workers.items()
    ]
    print(f"  workers: {display_safe(', '.join(workers))}")


def _inner_width() -> int | None:
    """For what is indented."""
    from lab.terminal.tables import width_max_of

    width_max = width_max_of(sys.stdout)
    return None if width_max is None else max(width_max - 2, 1)


def _indented(text: str) -> None:
    for line in text.splitlines():
        print(f"  {line}")


def diff(
    context: typer.Context, a: NodeName, b: NodeName, check: Check = False, json: Json = False
) -> None:
    """Show what each of two nodes holds that the other lacks. With --check: exit 7 if anything."""
    from lab.client.panel import frontiers_of
    from lab.observe.convergence import forks, lacking

    settings = settings_of(context)
    place = settings.place()
    names = [place.node(name).name for name in (a, b)]
    found = frontiers_of(place.nodes[name] for name in names)
    text = "{0} does not answer: see `chatlab cluster ps`"
    first_problem(
        [Problem(text.format(name), Exit.UNREACHABLE) for name in names if name not in found]
    )
    left, right = found[a], found[b]
    only_a, only_b = lacking(left.logs, right.logs), lacking(right.logs, left.logs)
    forked = forks(left.logs, right.logs)
    if json:
        emit(
            {
                "a": a,
                "b": b,
                "equal": left.root == right.root,
                "roots": {a: left.root, b: right.root},
                "events": {a: left.events, b: right.events},
                "only_a": only_a,
                "only_b": only_b,
                "forked": forked,
            }
        )
    else:
        _show_diff(a, b, left, right, only_a, only_b, forked)
    if check and left.root != right.root:
        raise Problem(f"{a} and {b} do not hold the same", Exit.VERDICT_FALSE)


def _show_diff(
    a: str,
    b: str,
    left: "FrontierPage",
    right: "FrontierPage",
    only_a: "list[Missing]",
    only_b: "list[Missing]",
    forked: list[str],
) -> None:
    from lab.terminal.display import display_safe
    from lab.terminal.formats import counted, log_text, ranges_text

    if left.root == right.root:
        root = display_safe(left.root[:16])
        print(f"{a} and {b} hold the same {counted(left.events, 'event')} (root {root})")
        return
    for holder, other, missing in ((a, b, only_a), (b, a, only_b)):
        count = sum(one.events for one in missing)
        print(f"{holder} holds {counted(count, 'event')} that {other} lacks")
        for one in missing:
            spot = log_text(one.origin, one.epoch)
            print(f"  {spot}:{ranges_text(one.ranges)}  ({one.events})")
    for log in map(display_safe, forked):
        print(f"{log} differs at the same place: a fork, or one of them lacks a branch")


def wait(
    context: typer.Context,
    converged: Annotated[  # noqa: ARG001  (the one thing to wait for; so that a line says it)
        bool, typer.Option("--converged", help="Until all live nodes' roots are equal.")
    ] = True,
    quiet: Annotated[
        float, typer.Option(metavar="S", help="And until they stay the same for S seconds.")
    ] = 0.0,
    timeout: Annotated[float, typer.Option(metavar="S", help="Give up after S seconds.")] = 30.0,
    check: Check = False,
    json: Json = False,
) -> None:
    """Wait until the cluster has converged. Exit 6 when it has not in time.

    Nodes that are down do not count, and are named. With --check: exit 7 if there is one.
    """
    from lab.cluster.cluster import Cluster
    from lab.observe.convergence import wait_converged
    from lab.terminal.formats import counted

    place = settings_of(context).place()
    seconds(quiet, "--quiet")
    seconds(timeout, "--timeout")
    shown = [""]

    def progress(seen: "Roots") -> None:
        text = _roots_text(seen)
        if text != shown[0] and not json and sys.stderr.isatty():
            shown[0] = text
            hint(text)

    result = wait_converged(Cluster(place), timeout, quiet, progress)
    if json:
        emit(result)
    if not result.converged:
        silent = [name for name, root in result.roots.items() if not root]
        why = f"no answer from {', '.join(silent)}" if silent else _differ(result.roots)
        text = f"not converged within {timeout:g} s: {why}"
        raise Problem(f"{text}; see `chatlab status`", Exit.TIMED_OUT)
    uncounted = [f"{name} ({why})" for name, why in result.not_counted.items()]
    if not json:
        root, count = next(iter(result.roots.values())), next(iter(result.events.values()))
        print(
            f"converged after {result.waited_ms} ms: {counted(len(result.roots), 'node')}, "
            f"{counted(count, 'event')}, root {root[:16]}"
        )
        if uncounted:
            hint(f"not counted: {', '.join(uncounted)}")
    if check and uncounted:
        raise Problem(f"not counted: {', '.join(uncounted)}", Exit.VERDICT_FALSE)


def _roots_text(seen: "Roots") -> str:
    groups = len(set(seen.roots.values()))
    counts = " ".join(f"{name}:{seen.events.get(name, '?')}" for name in seen.roots)
    return f"{groups} different root{'s' if groups > 1 else ''}; events {counts}"


def _differ(roots: dict[str, str]) -> str:
    sides: dict[str, list[str]] = {}
    for name, root in roots.items():
        sides.setdefault(root[:8], []).append(name)
    if len(sides) == 1:
        return "the roots are equal, but did not stay so for long enough"
    return ", ".join(f"{'+'.join(names)} have {root}" for root, names in sides.items())
