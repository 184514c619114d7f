"""The command `chatlab moderate`: shows what moderation would do with a text, by which rules and
where they match. It needs no running node: the rules come from the cluster file, or from `--words`.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lab.cli.common import Json, emit, hint, settings_of, utf8
from lab.cli.error_output import complain
from lab.client.location import policy_in
from lab.terminal.errors import Exit, Problem
from lab.terminal.tables import Paint

if TYPE_CHECKING:
    from domain.moderation import Moderator, Policy, Verdict


def moderate(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]")] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="One text per line of stdin.")] = False,
    words: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A plain word list instead of the cluster's rules."),
    ] = None,
    action: Annotated[
        str | None, typer.Option(metavar="reject|censor", help="What --words does; censor.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what moderation would do with a text, by which rules, and where they match."""
    from domain.moderation import Moderator  # lazy: the matcher

    settings = settings_of(context)
    if (text is None) != stdin:
        raise Problem("give either a TEXT or --stdin: see `chatlab moderate --help`", Exit.USAGE)
    if action is not None and (words is None or action not in ("reject", "censor")):
        raise Problem("--action is reject or censor, and goes with --words FILE", Exit.USAGE)
    policy = (
        _list_policy(words, action or "censor")
        if words is not None
        else policy_in(Path(settings.place().file))
    )
    moderator = Moderator(policy)
    if text is not None:
        _show(moderator, utf8(text, "the text"), json, settings.paint)
        return
    if _lines(moderator, json, settings.paint):
        raise typer.Exit(int(Exit.USAGE))


def _lines(moderator: "Moderator", json: bool, paint: Paint) -> int:
    """Judge each line of stdin; returns how many were no text."""
    from lab.client.pipeline import CHUNK_BYTES, Lines, sendable
    from node.process.standard_streams import read

    lines, number, bad, ended = Lines(), 0, 0, False
    while not ended:
        chunk = read(sys.stdin.fileno(), CHUNK_BYTES)
        ended = not chunk
        for line in lines.feed(chunk):
            number += 1
            try:
                one = sendable(line)
            except Problem as problem:
                bad += 1
                told = f"line {number}: {problem}"
                complain(told, Exit.USAGE) if json else hint(told)
                continue
            _show(moderator, one, json, paint)
    return bad


def _list_policy(words: Path, action: str) -> "Policy":
    """One rule from a plain word list: a word or phrase per line, # begins a comment."""
    from domain.moderation import Policy, Rule
    from node.config.cluster_file import words_in

    try:
        raw = words.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        text = f"{words} is not valid UTF-8 at byte {error.start}"
        raise Problem(text, Exit.USAGE) from None
    except OSError as error:
        raise Problem(f"cannot read {words}: {error.strerror}", Exit.USAGE) from None
    found = words_in(raw)
    if not found:
        raise Problem(f"{words} holds no words: one word or phrase per line", Exit.USAGE)
    kept: Literal["reject", "censor"] = "reject" if action == "reject" else "censor"
    return Policy((Rule(words.stem, found, kept),), ())


def _show(moderator: "Moderator", text: str, json: bool, paint: Paint) -> None:
    from lab.terminal.display import display_safe

    verdict = moderator.judge(text)
    record = verdict_json(verdict, text)
    if json:
        emit(record)
        return
    colour = {"clean": "green", "censored": "yellow", "rejected": "red"}[str(record["verdict"])]
    rules = record["rules"]
    assert isinstance(rules, list)
    by = f" by {', '.join(rules)}" if rules else ""
    print(
        f"{paint(str(record['verdict']), colour)}{display_safe(by)}: "
        f"{display_safe(str(record['text']))}"
    )


def verdict_json(verdict: "Verdict", text: str) -> dict[str, object]:
    """Spans are [start, end) in code points of the original text."""
    from domain.moderation import Censored, Clean

    hits = () if type(verdict) is Clean else verdict.hits
    name = "clean" if type(verdict) is Clean else "censored"
    if type(verdict) not in (Clean, Censored):
        name = "rejected"
    return {
        "verdict": name,
        "text": verdict.text if type(verdict) is Censored else text,
        "rules": list(dict.fromkeys(hit.rule for hit in hits)),
        "spans": [[hit.start, hit.end] for hit in hits],
        "view": hits[0].view if hits else "",
        "hits": hits,
    }
