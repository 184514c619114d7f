"""A `PlaySession` is one run of the simulator that a person drives, with all its branches.

    session = PlaySession(calm_plan())
    session.advance(2_000_000)
    session.do(Ask("n1", text="hello"))
    session.do(Inflict(Kill("n2")))
    session.back(1_000_000)                 exactly as it was
    session.do(...)                         in the past: this begins a new branch
    run_plan(session.plan())                the same run again, healed now and brought to its end

Times are microseconds of the simulation. Each deed happens in the microsecond after `now_us`, and
the session is in that microsecond afterwards.
"""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from lab.plan.draw import draw
from lab.plan.faults import Fault, Kill, Op, Plan, Timed
from lab.plan.scenario import named
from lab.plan.workload import READ_LAST_US
from lab.play.deeds import Ask, Deed, End, Inflict, PlayError, check_fault, check_node
from lab.sim.world import SETTLE_US, World
from lab.trace.kinds import Copied, Dropped, Epoch, Got, Handed, Note, Quiet, Sent, Written
from lab.trace.trace import Trace

OPEN_US = 1 << 53  # the end of a fault that nobody has ended yet
NOW_US_MAX = 3_600_000_000  # of simulated time
EVENTS_MAX = 200_000  # of a trace
DEEDS_MAX = 2_000  # ops and faults of a branch
BRANCHES_MAX = 64
NODES_MAX = 50
NAME_CHARS_MAX = 40
FIRST = "main"
STEP_US_MAX = 10_000_000
SLICE_US = 250_000  # after so much the bound of the trace is looked at
# What `step` passes over, if it looks for a change: packets, and what the journal says.
SMALL = frozenset({Sent, Got, Copied, Dropped, Handed, Epoch, Written, Note, Quiet})


class Branch(Struct, frozen=True):
    """One way that a run went. `plan` has what is to come, too, where the person has gone back."""

    name: str
    parent: str  # "": the first one
    from_us: int  # where it left its parent
    end_us: int  # the latest moment that was seen
    plan: Plan


def calm_plan(seed: int = 1) -> Plan:
    """Five nodes, and nothing happens unless somebody does it: `calm` without its clients."""
    return replace(draw(named("calm"), seed), ops=(), faults=())


class PlaySession:
    """Mutable; not for several threads. Raises PlayError if there are too many nodes."""

    def __init__(self, base: Plan) -> None:
        if len(base.nodes) > NODES_MAX:
            raise PlayError(f"{len(base.nodes)} nodes are more than a page shows: {NODES_MAX}")
        self.base = base
        self.broken = ""  # an exception out of the simulator: the run cannot go on from here
        self.replays = 0  # how often there was a new world, and so a new trace
        self._base_ends = {one.id: one.until_us for one in base.faults}
        self._base_ops = {one.id for one in base.ops}
        self._branches: dict[str, Branch] = {}
        self._at = FIRST
        self._world = World(base)
        self._begin(Branch(FIRST, "", 0, 0, base), 0)

    # --- where it is ----------------------------------------------------------------------------

    @property
    def world(self) -> World:
        return self._world

    @property
    def trace(self) -> Trace:
        return self._world.trace

    @property
    def now_us(self) -> int:
        return self._world.agenda.now_us

    @property
    def branch(self) -> Branch:
        """The branch of now."""
        return self._branches[self._at]

    @property
    def branches(self) -> tuple[Branch, ...]:
        return tuple(self._branches.values())

    @property
    def active(self) -> tuple[Timed, ...]:
        """The faults in effect."""
        return self._world.injector.active

    def plan(self) -> Plan:
        """All that was done until now, as a plan: from now on nothing goes wrong any more.

        As in every workload, each session reads once more in the end.
        """
        now_us, whole = self.now_us, self._world.plan
        ops = [op for op in whole.ops if op.at_us <= now_us]
        last_us = now_us + SETTLE_US + whole.liveness_us - READ_LAST_US
        number = max((op.id for op in ops), default=0)
        for at, (session, node) in enumerate({op.session: op.node for op in ops}.items(), start=1):
            ops.append(
                Op(
                    id=number + at,
                    at_us=last_us,
                    session=session,
                    node=node,
                    action="read",
                    author=session,
                )
            )
        faults = [
            replace(one, until_us=min(one.until_us, now_us + 1))
            for one in whole.faults
            if one.at_us <= now_us
        ]
        return replace(whole, ops=tuple(ops), faults=tuple(faults), faults_us=now_us)

    # --- forth and back -------------------------------------------------------------------------

    def advance(self, by_us: int) -> None:
        """Let it go on. Raises PlayError at a limit, and if the simulator breaks."""
        if by_us < 0:
            raise PlayError("time goes forward; `back` goes back")
        self._run(self.now_us + by_us)

    def step(self, *, over: frozenset[type] = frozenset()) -> bool:
        """Go on until something happens: to the next instant with an event of no class in `over`.

        False: nothing happened for `STEP_US_MAX`, and the session is that much later.
        """
        trace, seen = self.trace, len(self.trace)
        limit_us = self.now_us + STEP_US_MAX
        while all(type(event.data) in over for event in trace.events[seen:]):
            seen = len(trace)
            next_us = self._world.agenda.next_us
            if next_us is None or next_us > limit_us:
                self._run(limit_us)
                return False
            self._run(next_us)
        return True

    def back(self, to_us: int) -> None:
        """Go to a moment of this branch that was seen before: run it anew up to there."""
        self.go(self._at, to_us)

    def go(self, name: str, to_us: int | None = None) -> None:
        """Go to a branch, where it is furthest or at a moment of it."""
        branch = self._branches.get(name)
        if branch is None:
            told = ", ".join(self._branches)
            raise PlayError(f"no branch {name[:NAME_CHARS_MAX]!r}: there are {told}")
        to_us = branch.end_us if to_us is None else to_us
        if not 0 <= to_us <= branch.end_us:
            raise PlayError(f"this branch goes from 0 to {branch.end_us} µs")
        self._begin(branch, to_us)

    def fork(self, name: str = "") -> None:
        """Begin another branch at this moment. What the old one did later does not happen here."""
        if len(self._branches) >= BRANCHES_MAX:
            raise PlayError(f"there are {BRANCHES_MAX} branches, and no more")
        name = name.strip() or self._fresh_name()
        if name in self._branches or len(name) > NAME_CHARS_MAX or not name.isprintable():
            raise PlayError("a branch needs a name of its own, of 40 characters at most")
        plan, now_us = self._until_now(), self.now_us
        branch = Branch(name, self._at, now_us, now_us, plan)
        if plan == self._world.plan:
            self._branches[name] = branch
            self._at = name
        else:
            self._begin(branch, now_us)

    # --- deeds ----------------------------------------------------------------------------------

    def do(self, deed: Deed) -> None:
        """Raises PlayError if it is refused. In the past of a branch it begins a new one."""
        self._check(deed)
        if self.now_us < self.branch.end_us:
            self.fork()
        at_us = self.now_us + 1
        if type(deed) is Ask:
            self._world.ask(self._op(deed, at_us))
        elif type(deed) is Inflict:
            self._inflict(deed.fault, at_us)
        elif type(deed) is End:
            for number in deed.faults:
                self._world.end(number, at_us)
        else:
            assert_never(deed)
        self._run(at_us)

    def _check(self, deed: Deed) -> None:
        plan = self._world.plan
        if self._full or self.broken:
            self._run(self.now_us + 1)  # says which
        if len(plan.ops) + len(plan.faults) >= DEEDS_MAX:
            raise PlayError(f"{DEEDS_MAX} deeds are enough for one branch")
        if type(deed) is Ask:
            check_node(deed.node, plan.nodes)
        elif type(deed) is Inflict:
            check_fault(deed.fault, plan.nodes)
        else:
            there = {one.id for one in self.active}
            gone = [number for number in deed.faults if number not in there]
            if gone or len(set(deed.faults)) < len(deed.faults):
                raise PlayError(f"no fault {gone[0]} lasts" if gone else "one fault is there twice")

    def _op(self, deed: Ask, at_us: int) -> Op:
        """A person talks to each node by a session of its own, and never waits for an answer."""
        plan = self._world.plan
        at = 1
        while self._world.clients.busy(
            session := f"{deed.author}@{deed.node}" + f"/{at}" * (at > 1)
        ):
            at += 1
        return Op(
            id=max((op.id for op in plan.ops), default=0) + 1,
            at_us=at_us,
            session=session,
            node=deed.node,
            action=deed.action,
            author=deed.author,
            text=deed.text if deed.action == "post" else "",
        )

    def _inflict(self, fault: Fault, at_us: int) -> None:
        faults = self._world.plan.faults
        timed = Timed(max((one.id for one in faults), default=0) + 1, at_us, OPEN_US, fault)
        if type(fault) is Kill and fault.disk == "older":  # the copy was made before
            plan = replace(self._world.plan, faults=(*faults, timed))
            self._begin(replace(self.branch, plan=plan), self.now_us)
        else:
            self._world.inflict(timed)

    # --- inside ---------------------------------------------------------------------------------

    def _begin(self, branch: Branch, to_us: int) -> None:
        """A new world for this branch, run up to a moment."""
        self._at = branch.name
        self._branches[branch.name] = branch
        self._world = World(branch.plan)
        self.replays += 1
        self.broken = ""
        self._world.start()
        self._run(to_us)

    def _run(self, until_us: int) -> None:
        if self.broken:
            raise PlayError(self.broken)
        agenda = self._world.agenda
        try:
            while agenda.now_us < until_us and not self._full:
                agenda.run(min(agenda.now_us + SLICE_US, until_us, NOW_US_MAX))
        except Exception as error:
            self.broken = f"the simulator broke here: {type(error).__name__}: {error}"
            raise PlayError(self.broken) from error
        finally:
            branch = self.branch
            end_us = max(branch.end_us, self.now_us)
            self._branches[self._at] = replace(branch, plan=self._world.plan, end_us=end_us)
        if agenda.now_us < until_us:
            raise PlayError("this branch is as long as one may be: go back, or begin anew")

    @property
    def _full(self) -> bool:
        return self.now_us >= NOW_US_MAX or len(self.trace) >= EVENTS_MAX

    def _until_now(self) -> Plan:
        """The plan without what the person did after this moment."""
        now_us, plan = self.now_us, self._world.plan
        ops = [op for op in plan.ops if op.at_us <= now_us or op.id in self._base_ops]
        faults = [
            replace(one, until_us=self._base_ends.get(one.id, OPEN_US))
            if one.until_us > now_us
            else one
            for one in plan.faults
            if one.at_us <= now_us or one.id in self._base_ends
        ]
        return replace(plan, ops=tuple(ops), faults=tuple(faults))

    def _fresh_name(self) -> str:
        at = len(self._branches) + 1
        while f"branch {at}" in self._branches:
            at += 1
        return f"branch {at}"
