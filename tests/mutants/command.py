"""What `chatlab lab mutants` does, and how `chatlab lab replay MUTANT+TOKEN` plants the bug."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager

import typer

from lab.cli.common import emit, hint, settings_of
from lab.cli.lab_common import jobs_or_all
from lab.cli.verdict_view import Bar
from lab.terminal.display import display_safe
from lab.terminal.errors import Exit, Problem
from lab.terminal.tables import table, width_max_of
from tests.mutants import ablation, scoreboard
from tests.mutants.catalogue import CATALOGUE
from tests.mutants.scoreboard import MutantsError, Row


def plant(mutant: str) -> AbstractContextManager[None]:
    """A context in which this bug is in force. Raises Problem for an unknown name."""
    _chosen([mutant])
    return CATALOGUE.mutants[mutant].apply()


def show_list(context: typer.Context, ids: Sequence[str], *, json: bool) -> None:
    planted = [CATALOGUE.mutants[one] for one in _chosen(ids)]
    for one in planted if json else ():
        emit({"mutant": one.id, "wrong": one.wrong, "where": one.where})
    if not json:
        cells = [[one.id, one.wrong] for one in planted]
        print(table(["MUTANT", "WHAT IS WRONG"], cells, settings_of(context).paint))


def score(
    context: typer.Context, ids: Sequence[str], looks: int, jobs: int | None, *, json: bool
) -> None:
    """How often each is caught; and of those with a name in `ids` a run that shows it.

    Exits with 7 if the sound core is accused.
    """
    chosen, bar = _chosen(ids), Bar()
    try:
        rows = scoreboard.scoreboard(
            CATALOGUE,
            chosen,
            seeds=scoreboard.thrifty(CATALOGUE, looks),
            workers=jobs_or_all(jobs),
            progress=lambda done, of: bar.show(done / of, f"{done}/{of} looks"),
        )
    finally:
        bar.clear()
    tokens = _tokens(rows) if ids else {}
    for row in rows if json else ():
        emit(scoreboard.record(row) | {"token": tokens.get(row.mutant, "")})
    if not json:
        cells = [scoreboard.cells(row) for row in rows]
        width = width_max_of(sys.stdout)
        print(table(scoreboard.HEADINGS, cells, settings_of(context).paint, width))
        for mutant in ids:
            _show_token(mutant, tokens.get(mutant, ""))
    accused = any(row.caught for row in rows if not row.mutant)
    raise typer.Exit(int(Exit.VERDICT_FALSE if accused else Exit.DONE))


def ablate(
    context: typer.Context, ids: Sequence[str], looks: int, jobs: int | None, *, json: bool
) -> None:
    """Each mutant again with each kind of fault left out."""
    chosen, bar = _chosen(ids), Bar()
    try:
        rows = ablation.ablated(
            CATALOGUE,
            chosen,
            looks=looks,
            workers=jobs_or_all(jobs),
            progress=lambda done, of: bar.show(done / of, f"{done}/{of} of mutants and kinds"),
        )
    finally:
        bar.clear()
    for row in rows if json else ():
        emit(ablation.record(row))
    if not json:
        cells = [ablation.cells(row) for row in rows]
        print(table(ablation.HEADINGS, cells, settings_of(context).paint))


def _chosen(ids: Sequence[str]) -> list[str]:
    """These, or all; each once. Raises Problem for an unknown name."""
    try:
        pairs = scoreboard.pairs_of(CATALOGUE, ids)
    except MutantsError as error:
        raise Problem(display_safe(str(error)), Exit.USAGE) from None
    return list(dict.fromkeys(mutant for mutant, _ in pairs))


def _tokens(rows: Sequence[Row]) -> dict[str, str]:
    """By mutant: a run to replay, from the bench on which it is caught most often."""
    tokens: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: -row.rate):
        if row.mutant and row.mutant not in tokens:
            token = scoreboard.token_for(CATALOGUE, row)
            if token:
                tokens[row.mutant] = token
    return tokens


def _show_token(mutant: str, token: str) -> None:
    """What the bug is, and where to see it."""
    if token:
        print(f"{mutant}: {CATALOGUE.mutants[mutant].wrong}\ntoken {token}")
        hint(f"see it: chatlab lab replay {token} --shrink --story")
    else:
        hint(f"{mutant}: no single run shows it; more looks may find one: --seeds")
