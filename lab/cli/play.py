"""The command `chatlab lab play`: the simulator in the browser, by hand."""

from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import hear_ctrl_c
from lab.cli.lab_common import complete_scenario, opened_source
from lab.cli.pages import Opens, Port, need_pages, serve
from lab.cli.planted import planted
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from lab.plan.faults import Plan

SEED_MAX = 2**63 - 1


def play(
    context: typer.Context,
    scenario: Annotated[
        str | None,
        typer.Argument(
            metavar="[SCENARIO]",
            help="A name of `lab list`, a YAML file, a plan's JSON file, or a token. Default: five "
            "nodes, and nothing happens unless you do it.",
            autocompletion=complete_scenario,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=SEED_MAX, metavar="N")] = 1,
    plant: Annotated[
        str, typer.Option("--plant", metavar="MUTANT", help="With this bug in the core.")
    ] = "",
    port: Port = 0,
    opens: Opens = True,
) -> None:
    """Post, kill, cut links, step, go back, branch: the same core as in every run, by your hand.

    The address has a token: whoever has it can play. Ctrl-C ends it, and nothing is left behind.
    """
    need_pages()
    from lab.play.deeds import PlayError
    from lab.play.judging import judges
    from lab.play.session import PlaySession
    from lab.web.play_page import PlayPage

    hear_ctrl_c()
    plan, bug = _base(scenario, seed)
    bug = plant or bug
    if bug:
        context.with_resource(planted(bug))
    try:
        session = PlaySession(plan)
        session.advance(plan.boot_spread_us)  # a person begins with nodes that run
        with judges() as pool:
            page = PlayPage(session, pool, port=port, planted=f"{bug}+" if bug else "")
            serve(page.server, opens, page.run)
    except PlayError as error:
        raise Problem(str(error), Exit.USAGE) from None
    except KeyboardInterrupt:
        pass  # that is how one ends it


def _base(text: str | None, seed: int) -> "tuple[Plan, str]":
    """The plan to begin with, and the bug that a token plants."""
    from lab.campaign.judged_run import plan_of
    from lab.campaign.replay_token import PLANTED, TokenError, parse
    from lab.play.session import calm_plan

    if text is None:
        return calm_plan(seed), ""
    bug, mark, token = text.rpartition(PLANTED)
    if token.count(".") < 4 or "/" in token or token.endswith((".json", ".yaml", ".yml")):
        return plan_of(opened_source(text), seed), ""
    try:
        return parse(token).plan(), bug if mark else ""
    except TokenError as error:
        raise Problem(str(error), Exit.USAGE) from None
