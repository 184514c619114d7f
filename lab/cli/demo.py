"""The command `chatlab demo`: the guided tour (`lab.demo`)."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import Json, emit, hear_the_end, hint, settings_of
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from lab.demo.tour import Proof
    from lab.terminal.tables import Paint


def demo(
    context: typer.Context,
    fast: Annotated[bool, typer.Option("--fast", help="Without the pauses for reading.")] = False,
    json: Json = False,
) -> None:
    """A guided tour on five real nodes: talk, partition, heal, kill, recover, moderate, prove."""
    from lab.cli.journal import first_damage  # lazy: all that follows is heavy
    from lab.demo.tour import Tour

    settings = settings_of(context)
    began = time.monotonic()
    hear_the_end()
    hint("chatlab demo: five nodes, one chat, no coordinator. It takes less than a minute.")
    proof = Tour(hint, first_damage, fast).run()
    took_s = time.monotonic() - began
    if json:
        emit({"holds": proof.holds, "seconds": round(took_s, 1), "proof": proof})
    else:
        _show(proof, settings.paint)
    if not proof.holds:
        raise Problem("the proof does not hold: the nodes disagree", Exit.VERDICT_FALSE)
    hint(f"\nThe whole tour took {took_s:.1f} s; nothing is left running. Try it by hand:")
    for line in (
        "chatlab cluster up -d",
        'chatlab send n1 "hello" && chatlab timeline n5',
        "chatlab cluster kill n2 && chatlab cluster restart n2 && chatlab logs n2",
        "chatlab cluster down",
    ):
        hint(f"  {line}")


def _show(proof: "Proof", paint: "Paint") -> None:
    from lab.terminal.tables import table

    rows = [
        [
            name,
            proof.roots[name][:16],
            proof.timelines[name][:16],
            proof.journals.get(name) or "every frame and chain verified",
        ]
        for name in proof.roots
    ]
    print(table(["NODE", "ROOT", "TIMELINE (SHA-256)", "JOURNAL"], rows, paint))
    verdict = "PROVED" if proof.holds else "NOT PROVED"
    print(
        paint(f"{verdict}: ", "green" if proof.holds else "red")
        + f"{proof.acked} acknowledged messages, {proof.acked - proof.lost} of them in each of "
        f"{len(proof.roots)} timelines exactly once,\n"
        f"and {proof.events} events in the same order everywhere"
    )
