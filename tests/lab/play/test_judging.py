"""What the checkers say of a session: about now, and about what would be if all healed now."""

import multiprocessing
import time

from lab.campaign.judged_run import run_judged
from lab.cli.planted import planted
from lab.plan.faults import Kill
from lab.play.deeds import Ask, End, Inflict
from lab.play.judging import judge_plan, judges
from lab.play.session import PlaySession, calm_plan

S = 1_000_000


def one_message() -> PlaySession:
    session = PlaySession(calm_plan())
    session.advance(S)
    session.do(Inflict(Kill("n3")))
    session.do(Ask("n1", text="hello"))
    session.advance(S)
    return session


def test_of_now_much_is_open_and_healed_all_of_it_holds() -> None:
    session = one_message()
    judgement = judge_plan(session.plan())
    assert (judgement.at_us, judgement.outcome) == (session.now_us, "pass")
    by_rule = {one.rule: one for one in judgement.standings}
    assert (by_rule["C6"].now, by_rule["C6"].healed) == ("unknown", "pass")  # they must agree
    assert (by_rule["C4"].now, by_rule["C4"].healed) == ("pass", "pass")  # nothing twice
    assert judgement.token == str(run_judged(session.plan()).token)


def test_a_process_judges_and_is_gone_afterwards() -> None:
    with judges() as pool:
        (child,) = multiprocessing.active_children()
        judgement = pool.submit(judge_plan, one_message().plan()).result()
        assert judgement == judge_plan(one_message().plan())
        pool.submit(time.sleep, 60)
    assert not child.is_alive() and not multiprocessing.active_children()


def test_a_verdict_turns_in_the_moment_in_which_a_planted_bug_shows() -> None:
    with planted("sync-skipped"):
        session = PlaySession(calm_plan())
        session.advance(S)
        session.do(Ask("n1", text="durable, they say"))
        session.advance(S)
        before = {one.rule: one.now for one in judge_plan(session.plan()).standings}
        session.do(Inflict(Kill("n3", "power")))
        session.do(End((1,)))
        session.advance(S)
        (broken,) = [one for one in judge_plan(session.plan()).standings if one.now == "fail"]
    assert (before["C5"], broken.rule, broken.healed) == ("pass", "C5", "fail")
    assert broken.witnesses and max(broken.witnesses) < len(session.trace)
