"""The decider: one event or one refusal, whatever is asked, and nothing else changes."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.clock import Stamp
from domain.commands import Command, Join, Leave, PostMessage
from domain.decider import Context, Refused, check_command, decide
from domain.events import (
    AUTHOR_BYTES_MAX,
    RULES_MAX,
    TEXT_BYTES_MAX,
    Event,
    MessagePosted,
    ParticipantJoined,
    ParticipantLeft,
)
from domain.presence import Presence
from domain.verdict import Censored, Clean, Hit, Rejected, Verdict, rules_of
from tests.domain.builders import AUTHORS, arrival, dot, dots, joined, left, posted

CONTEXT = Context(dot("n1:7"), Stamp(5000, 2), dots("n2:3 n3:1"))
HEADER = (CONTEXT.dot, CONTEXT.stamp, CONTEXT.parents)


def ask(command: Command, *known: Event, verdict: Verdict | None = None) -> Event | Refused:
    presence = Presence()
    for event in known:
        presence.apply(arrival(event))
    return decide(command, verdict or Clean(), presence, CONTEXT)


def hits(*rules: str) -> tuple[Hit, ...]:
    return tuple(Hit(rule, at, at + 1, "plain") for at, rule in enumerate(rules))


# --- what is accepted ---------------------------------------------------------------------------


def test_a_message_becomes_an_event_with_the_header_that_was_given() -> None:
    assert ask(PostMessage("ana", "  hello\n")) == MessagePosted(*HEADER, "ana", "  hello\n")


def test_who_joins_has_joined_and_who_leaves_has_left() -> None:
    assert ask(Join("ana")) == ParticipantJoined(*HEADER, "ana")
    assert ask(Leave("ana"), joined("n1:1")) == ParticipantLeft(*HEADER, "ana")


def test_a_censored_text_goes_out_censored_and_names_each_rule_once() -> None:
    verdict = Censored("**** it", hits("swearing", "spam", "swearing"))
    event = ask(PostMessage("ana", "darn it"), verdict=verdict)
    assert event == MessagePosted(*HEADER, "ana", "**** it", ("swearing", "spam"))


def test_an_event_names_as_many_rules_as_fit_on_disk() -> None:
    names = [f"rule-{number}" for number in range(RULES_MAX + 1)]
    event = ask(PostMessage("ana", "darn"), verdict=Censored("****", hits(*names)))
    assert type(event) is MessagePosted
    assert event.censored_by == tuple(names[:RULES_MAX])


def test_rules_are_named_in_the_order_of_the_text() -> None:
    assert rules_of(hits("b", "a", "b", "c", "a")) == ("b", "a", "c")
    assert rules_of(()) == ()


@pytest.mark.parametrize(
    "author", ["a", "ana maria", "Ünal", "نعم", "क्\u200dष", "می\u200cخواهم", "👩\u200d🚀", "x" * 64]
)
def test_names_of_every_script_are_names(author: str) -> None:
    for command in (PostMessage(author, "hello"), Join(author), Leave(author)):
        assert check_command(command) is None
        assert type(ask(command)) is not Refused


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the text is empty: it has nothing but white space"),
        (" \t\r\n", "the text is empty: it has nothing but white space"),
        ("\u00a0\u2003\u2028", "the text is empty: it has nothing but white space"),
        ("\u200b\ufeff\u202e\x00", "the text is empty: it has nothing but white space"),
        ("a\ud800", "the text is not valid Unicode: it contains a lone surrogate"),
        ("\ud83d\ude00", "the text is not valid Unicode: it contains a lone surrogate"),
        ("x" * 65537, "the text has 65537 bytes, at most 65536 are allowed"),
        ("é" * 32768 + "x", "the text has 65537 bytes, at most 65536 are allowed"),
    ],
)
def test_a_text_that_cannot_be_a_message_is_refused(text: str, reason: str) -> None:
    assert ask(PostMessage("ana", text)) == check_command(PostMessage("ana", text))
    assert ask(PostMessage("ana", text)) == Refused(reason)


def test_a_text_may_have_exactly_as_many_bytes_as_are_allowed() -> None:
    for text in ("x" * TEXT_BYTES_MAX, "é" * (TEXT_BYTES_MAX // 2), "𐍈" * (TEXT_BYTES_MAX // 4)):
        assert len(text.encode()) == TEXT_BYTES_MAX
        assert ask(PostMessage("ana", text)) == MessagePosted(*HEADER, "ana", text)


@pytest.mark.parametrize(
    ("author", "reason"),
    [
        ("", "the author's name is empty"),
        ("   ", "the author's name is empty"),
        ("\u200d\u200b", "the author's name is empty"),
        (" ana", "the author's name begins or ends with white space"),
        ("ana\u00a0", "the author's name begins or ends with white space"),
        ("a\nb", "the author's name has a control character (U+000A) at position 1"),
        ("an\u202ea", "the author's name has a control character (U+202E) at position 2"),
        ("ana\u200b", "the author's name has a control character (U+200B) at position 3"),
        ("a\u2028b", "the author's name has a control character (U+2028) at position 1"),
        ("a\u2029b", "the author's name has a control character (U+2029) at position 1"),
        ("\udfff", "the author's name is not valid Unicode: it contains a lone surrogate"),
        ("x" * 65, "the author's name has 65 bytes, at most 64 are allowed"),
        ("é" * 32 + "x", "the author's name has 65 bytes, at most 64 are allowed"),
    ],
)
def test_a_name_that_cannot_be_shown_on_one_line_is_refused(author: str, reason: str) -> None:
    for command in (PostMessage(author, "hello"), Join(author), Leave(author)):
        assert ask(command) == check_command(command) == Refused(reason)


def test_the_author_is_looked_at_before_the_text() -> None:
    assert ask(PostMessage("", "")) == Refused("the author's name is empty")


def test_a_rejected_text_is_refused_with_the_rules_that_it_broke() -> None:
    verdict = Rejected(hits("slurs", "spam", "slurs"))
    assert ask(PostMessage("ana", "x"), verdict=verdict) == Refused("rejected by slurs, spam")


def test_an_impossible_command_is_refused_before_moderation_counts() -> None:
    assert ask(PostMessage("ana", " "), verdict=Rejected(hits("spam"))) == Refused(
        "the text is empty: it has nothing but white space"
    )


@pytest.mark.parametrize(
    ("censored", "reason"),
    [
        ("█" * 21846, "once censored, the text has 65538 bytes, at most 65536 are allowed"),
        ("  ", "once censored, the text is empty: it has nothing but white space"),
    ],
)
def test_a_text_must_be_a_message_once_it_is_censored(censored: str, reason: str) -> None:
    verdict = Censored(censored, hits("swearing"))
    assert ask(PostMessage("ana", "x" * len(censored)), verdict=verdict) == Refused(reason)
    assert type(ask(PostMessage("ana", "x" * len(censored)))) is MessagePosted


# --- presence -----------------------------------------------------------------------------------


def test_who_is_known_to_have_joined_does_not_join_again() -> None:
    refused = ask(Join("ana"), joined("n2.ab:4"))
    assert refused == Refused("ana has joined already, see n2.ab:4")
    assert type(ask(Join("bob"), joined("n2:4"))) is ParticipantJoined


def test_who_is_known_to_have_left_does_not_leave_again() -> None:
    refused = ask(Leave("ana"), joined("n2:4", 1), left("n2.ab:5", 2))
    assert refused == Refused("ana has left already, see n2.ab:5")


def test_what_is_not_known_here_is_held_against_nobody() -> None:
    assert type(ask(Leave("ana"))) is ParticipantLeft
    assert type(ask(PostMessage("ana", "hello"))) is MessagePosted
    assert type(ask(PostMessage("ana", "hello"), left("n1:1"))) is MessagePosted
    assert type(ask(Join("ana"), posted("n1:1"))) is ParticipantJoined
    assert type(ask(Leave("ana"), posted("n1:1"))) is ParticipantLeft


def test_one_may_come_and_go_as_often_as_one_likes() -> None:
    assert type(ask(Join("ana"), joined("n1:1", 1), left("n1:2", 2))) is ParticipantJoined
    known = (joined("n1:1", 1), left("n1:2", 2), joined("n1:3", 3))
    assert type(ask(Leave("ana"), *known)) is ParticipantLeft


# --- whatever is asked --------------------------------------------------------------------------

NASTY = "\ud800\udfff\u200b\u200d\u202e\u2028\ufeff\x00\x1b\n \tab"
texts = st.one_of(st.text(st.characters()), st.text(st.sampled_from(NASTY)))
names = st.one_of(st.sampled_from(AUTHORS), texts)
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(PostMessage, names, texts), st.builds(Join, names), st.builds(Leave, names)
)
hit_lists = st.lists(st.sampled_from(["spam", "slurs"]), min_size=1, max_size=3).map(
    lambda rules: hits(*rules)
)
verdicts: st.SearchStrategy[Verdict] = st.one_of(
    st.just(Clean()), st.builds(Censored, texts, hit_lists), st.builds(Rejected, hit_lists)
)


def check_event(event: Event, command: Command, verdict: Verdict) -> None:
    """An event says what was asked for, and can be stored and shown."""
    assert (event.dot, event.stamp, event.parents) == HEADER
    assert event.author == command.author == command.author.strip()
    assert 1 <= len(event.author.encode()) <= AUTHOR_BYTES_MAX
    assert len(event.author.splitlines()) == 1
    kinds = {
        PostMessage: MessagePosted,
        Join: ParticipantJoined,
        Leave: ParticipantLeft,
    }
    assert type(event) is kinds[type(command)]
    if type(event) is MessagePosted and type(command) is PostMessage:
        assert type(verdict) is not Rejected
        censored = type(verdict) is Censored
        assert event.text == (verdict.text if type(verdict) is Censored else command.text)
        assert bool(event.censored_by) is censored
        assert len(event.text.encode()) <= TEXT_BYTES_MAX
        assert not all(c.isspace() or unicodedata.category(c) in ("Cc", "Cf") for c in event.text)


@settings(max_examples=500)
@given(commands, verdicts)
@example(PostMessage("ana", "\ud800"), Clean())
@example(PostMessage("ana", "fine"), Censored("\ud800", hits("spam")))
def test_the_answer_is_one_event_or_one_clear_line(command: Command, verdict: Verdict) -> None:
    if type(command) is not PostMessage:
        verdict = Clean()
    answer = ask(command, verdict=verdict)
    if type(answer) is not Refused:
        check_event(answer, command, verdict)
        return
    assert len(answer.reason.encode()) > 0  # a lone surrogate does not come back in the answer
    assert answer.reason.isprintable()
    assert check_command(command) == answer or type(verdict) is not Clean


@given(st.lists(commands, max_size=12))
def test_deciding_changes_nothing_and_the_same_question_has_the_same_answer(
    asked: list[Command],
) -> None:
    presence = Presence()
    presence.apply(arrival(joined("n1:1")))
    before = presence.fingerprint()
    answers = [decide(command, Clean(), presence, CONTEXT) for command in asked]
    assert [decide(command, Clean(), presence, CONTEXT) for command in asked] == answers
    assert (presence.fingerprint(), len(presence)) == (before, 1)


_ONE_OF_US = st.sampled_from(AUTHORS)
plain: st.SearchStrategy[Command] = st.one_of(
    st.builds(PostMessage, _ONE_OF_US, st.just("hello")),
    st.builds(Join, _ONE_OF_US),
    st.builds(Leave, _ONE_OF_US),
)


@given(st.lists(plain, max_size=20))
def test_nobody_joins_twice_or_leaves_twice_in_a_row(asked: list[Command]) -> None:
    """Decide, apply, decide again: as a node does."""
    presence = Presence()
    last: dict[str, type[Command]] = {}
    for seq, command in enumerate(asked, 1):
        context = Context(dot(f"n1:{seq}"), Stamp(seq, 0), ())
        answer = decide(command, Clean(), presence, context)
        again = type(command) is not PostMessage and last.get(command.author) is type(command)
        assert (type(answer) is Refused) is again
        if type(answer) is not Refused:
            presence.apply(arrival(answer))
            last[command.author] = type(command)
            assert presence.is_active(command.author) is (type(command) is not Leave)


@pytest.mark.parametrize("command", [Join("dang"), Leave("dang"), PostMessage("dang", "hi")])
def test_a_name_that_any_rule_is_against_is_refused(command: Command) -> None:
    hits = (Hit("mild", 0, 4, "plain"),)
    for name in (Censored("****", hits), Rejected(hits)):
        answer = decide(command, Clean(), Presence(), CONTEXT, name)
        assert answer == Refused("the author's name is rejected by mild")
    assert type(decide(Join("ana"), Clean(), Presence(), CONTEXT, Clean())) is ParticipantJoined
