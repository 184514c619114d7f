"""C9: moderation never changes an event, and decides by the text and the rules alone.

- An event has the same bytes and the same content everywhere and always, whatever rules a node has.
- The text of an acknowledged event is the one that was emitted, and if no rule is named it is the
  one that was asked for.
- A decision depends on the text and the rules alone, and it is stable: a censored text passes
  unchanged when it is moderated again.
- A text with a forbidden word, plain or in a disguise that can be undone letter by letter, does not
  pass. A text of plain words, none of them forbidden, passes unchanged.
- Censoring replaces each code point by one `*` and changes nothing else. It replaces all of a word
  that is not disguised.
"""

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from typing import ClassVar

import msgspec
from msgspec import Struct

from lab.checkers.context import CheckContext
from lab.checkers.verdict import CheckerRule, Findings, Verdict, Wants
from lab.trace.kinds import Fail, Handed, Invoke, Note, Ok, PolicyIn, Run
from lab.trace.trace import Event

RULE = CheckerRule(
    "C9",
    "moderation never mutates",
    "Rules decide what is emitted and change nothing that was; the same text, the same verdict.",
)
_SIGNS = str.maketrans("4@3!0$578асеоік", "aaeiosstbaceoik")  # read one by one; 1 is i or l
_LONG_RUN = re.compile(r"(.)\1{2,}")
_PLAIN = re.compile(r"[a-z]{2,}(?: [a-z]{2,})*")
_Decision = tuple[str | None, tuple[str, ...]]  # the text as emitted, None: rejected; the rules


class _Word(Struct, frozen=True):
    words: tuple[str, ...] = ()
    action: str = "censor"


class _Options(Struct, frozen=True):
    """The part of a run's options that matters here."""

    rules: tuple[_Word, ...] = ()


class Moderation:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._found = Findings(RULE)
        self._decided: dict[tuple[str, int, str], tuple[_Decision, int]] = {}
        self._left: dict[tuple[str, int, str], int] = {}  # texts that censoring has left
        self._versions: dict[str, int] = {}  # of the rules, by node
        self._one_policy = False
        self._forbidden: dict[str, str] = {}  # by word: the action
        self._censored = self._rejected = 0

    def wants(self) -> Wants:
        return {
            Run: self._on_run,
            Handed: self._on_handed,
            Ok: self._on_ok,
            Fail: self._on_fail,
            Note: self._on_note,
            PolicyIn: self._on_policy,
        }

    def _on_run(self, event: Event) -> None:
        data = event.data
        assert type(data) is Run
        self._one_policy = data.source == "sim"
        try:
            options = msgspec.json.decode(data.options, type=_Options)
        except msgspec.MsgspecError:
            return  # of a form that tells nothing of rules
        for rule in options.rules:
            for word in rule.words:
                if word.isalpha():
                    self._forbidden[word.casefold()] = rule.action

    def _on_note(self, event: Event) -> None:
        assert type(event.data) is Note
        if event.data.event == "policy_read":
            self._on_policy(event)

    def _on_policy(self, event: Event) -> None:
        self._versions[event.node] = self._versions.get(event.node, 0) + 1
        self._one_policy = False
        self._forbidden = {}

    # --- events ---------------------------------------------------------------------------------

    def _on_handed(self, event: Event) -> None:
        data = event.data
        assert type(data) is Handed
        first = self._history.first_handed[data.ref]
        if first is event:
            if data.via == "local":
                self._on_emitted(event, data)
            return
        known = first.data
        assert type(known) is Handed
        if first.bytes != event.bytes or known.facts != data.facts:
            reason = f"{data.ref} is something else at {event.node} than at {first.node}"
            self._found.add(reason, event.seq, first.seq)

    def _on_emitted(self, event: Event, data: Handed) -> None:
        op = self._history.op_of.get(data.ref)
        invoke = None if op is None else self._history.invokes.get(op)
        if invoke is None or data.facts.what != "posted":
            return
        asked, facts = invoke.data, data.facts
        assert type(asked) is Invoke
        if not facts.censored_by and facts.text != asked.text:
            reason = f"{data.ref} is not the text of op {asked.op}, and no rule is named"
            self._found.add(reason, event.seq, invoke.seq)
        self._censored += bool(facts.censored_by)
        self._decide(event, asked.text, (facts.text, facts.censored_by))

    def _on_ok(self, event: Event) -> None:
        data = event.data
        assert type(data) is Ok
        made = self._history.made.get(data.ref)
        if made is None:
            return
        handed = made.data
        assert type(handed) is Handed
        facts = handed.facts
        if (data.text, data.rules) != (facts.text, facts.censored_by):
            reason = f"op {data.op} was told another text or other rules than {data.ref} has"
            self._found.add(reason, event.seq, made.seq)

    def _on_fail(self, event: Event) -> None:
        data = event.data
        assert type(data) is Fail
        invoke = self._history.invokes.get(data.op)
        if data.code == "moderation" and invoke is not None:
            assert type(invoke.data) is Invoke
            self._rejected += 1
            self._decide(event, invoke.data.text, (None, ()))

    # --- decisions ------------------------------------------------------------------------------

    def _decide(self, event: Event, text: str, decision: _Decision) -> None:
        scope = "" if self._one_policy else event.node
        key = (scope, self._versions.get(event.node, 0), text)
        before = self._decided.setdefault(key, (decision, event.seq))
        if before[0] != decision:
            self._found.add("the same text was judged in two ways", event.seq, before[1])
        emitted = decision[0]
        if key in self._left and emitted != text:
            reason = "what censoring had left was not let through as it is"
            self._found.add(reason, event.seq, self._left[key])
        if decision[1] and emitted is not None:
            self._left[(*key[:2], emitted)] = event.seq
        if emitted is not None and not _only_starred(text, emitted):
            self._found.add("censoring changed more than it replaced", event.seq)
        elif self._forbidden and emitted is not None:
            self._look(event, text, emitted)
        if self._forbidden and emitted != text and is_innocent(text, self._forbidden):
            self._found.add(
                "of plain words, none of them forbidden, some were not let through", event.seq
            )

    def _look(self, event: Event, text: str, emitted: str) -> None:
        """Is a forbidden word let through, or a part of it, though it can be read there?"""
        for match in re.finditer(r"\w[^\s()]*\w", text):
            word = meant(match[0], self._forbidden)
            action = self._forbidden.get(word)
            if action == "reject":
                self._found.add(f"a text with the forbidden word {word} was let through", event.seq)
            elif action == "censor" and set(emitted[match.start() : match.end()]) != {"*"}:
                self._found.add(f"the word {word} was not censored, or not all of it", event.seq)

    def verdict(self) -> Verdict:
        figures: dict[str, int | float] = {
            "decisions": len(self._decided),
            "censored": self._censored,
            "rejected": self._rejected,
        }
        passed = f"{self._censored} texts censored, {self._rejected} rejected, none changed later"
        unknown = "" if self._history.first_handed else "no event was ever emitted"
        if self._history.lean:
            unknown = "a lean trace does not tell what events say"
        return self._found.verdict(figures, passed, unknown)


def meant(token: str, forbidden: Collection[str]) -> str:
    """The forbidden word that a token is in disguise, as far as that is certain; else ""."""
    return next((read for read in _readings(token) if read in forbidden), "")


@lru_cache(maxsize=4096)  # people repeat themselves, and nothing else than the token counts
def _readings(token: str) -> tuple[str, ...]:
    """The plain words that a token may stand for."""
    shown = unicodedata.normalize("NFKD", token).casefold()
    if not shown.isascii():
        shown = "".join(c for c in shown if unicodedata.category(c) not in ("Mn", "Cf"))
    if re.fullmatch(r"\w([.\-_])\w(?:\1\w)*", shown.replace("@", "a").replace("$", "s")):
        shown = shown[::2]
    plain = [shown.replace("1", one).translate(_SIGNS) for one in ("il" if "1" in shown else "i")]
    return tuple([read for one in plain for read in (one, _LONG_RUN.sub(r"\1", one))])


def is_innocent(text: str, forbidden: Collection[str]) -> bool:
    """Plain words, none of which is forbidden, also if letters are doubled."""
    if not _PLAIN.fullmatch(text):
        return False
    return {_once(word) for word in text.split()}.isdisjoint(map(_once, forbidden))


def _once(word: str) -> str:
    return re.sub(r"(.)\1+", r"\1", word)


def _only_starred(text: str, emitted: str) -> bool:
    """Every code point is still there, or a star stands in its place."""
    if emitted == text:
        return True
    return len(emitted) == len(text) and all(
        new in (old, "*") for old, new in zip(text, emitted, strict=True)
    )
