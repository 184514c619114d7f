"""The world builds the hosts, clients and network of a plan, and runs the plan through its phases.
See `lab.sim`.

    result = run(load_scenario("lossy"), seed=7)      a scenario under a seed
    result = run_plan(plan)                           an explicit plan, as the shrinker uses
    World(plan).run()                                 the same, with access to the world afterwards

Phases: `faults` lasts `plan.faults_us`. At `heal` every fault ends and every node starts; commands
in flight have `SETTLE_US` to be answered. In `liveness` clients only read, and the nodes have
`plan.liveness_us` to agree. `end` is the last event.
"""

import gc
from collections.abc import Iterable
from functools import lru_cache

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from domain.moderation import Moderator, Policy, Rule
from lab.drills import differences
from lab.plan.draw import draw
from lab.plan.faults import Op, Plan, Timed, WordRule, word
from lab.plan.random_streams import RandomStreams, stream
from lab.plan.scenario import Scenario
from lab.sim.branch import Branch
from lab.sim.clients import Clients
from lab.sim.context import SimContext
from lab.sim.host import Host
from lab.sim.injector import Injector
from lab.sim.network import Ledger, Network
from lab.sim.projection_checks import final_of
from lab.sim.reach_hooks import ReachHooks
from lab.sim.scheduler import BOOTS, OPS, Scheduler
from lab.trace.kinds import SCHEMA, Detail, Differs, Final, Phase, Run, State, Totals
from lab.trace.trace import Event, Observer, Trace
from node.core.replica import Replica, ReplicaConfig

SETTLE_US = 1_000_000
CLUSTER = "sim"


class Result(Struct, frozen=True):
    """The result of a run. Verdicts come from checkers, which read the trace."""

    plan: Plan
    trace: Trace
    ledger: Ledger
    acts: int  # what the agenda did
    core_failures: tuple[str, ...]  # tracebacks: exceptions out of replicas

    @property
    def deliveries(self) -> int:
        return self.ledger.delivered


class World:
    """Mutable. `run` once; or drive `agenda` by hand after `start`."""

    def __init__(
        self,
        plan: Plan,
        *,
        detail: Detail = "normal",
        observers: Iterable[Observer] = (),
        paranoid: bool = False,
        watch: ReachHooks | None = None,
        branch: Branch | None = None,
    ) -> None:
        # Only the collector frees a world, a web of references. The last one is young and all that
        # is: now that costs least, and this one gets memory that is still in the caches.
        gc.collect(0)
        self.plan = plan
        self.detail: Detail = detail
        self.agenda = Scheduler()
        self.branch = branch
        self.trace = Trace((*observers, self._branch_off) if branch is not None else observers)
        self.streams = RandomStreams(plan.seed)
        self.network = Network(
            self.agenda,
            self.trace,
            plan.network,
            self.streams.stream("network"),
            packets_traced=detail != "lean",
            paranoid=paranoid,
        )
        moderator = moderator_of(plan.rules)
        self.shared = SimContext(
            plan=plan,
            agenda=self.agenda,
            trace=self.trace,
            network=self.network,
            streams=self.streams,
            moderator=moderator,
            detail=detail,
            watch=watch,
        )
        self.clients = Clients(self.agenda, self.trace, self.shared.known)
        self.hosts: dict[str, Host] = {}
        for config in configs(plan):
            host = Host(self.shared, config, self.clients)
            self.hosts[host.name] = host
            self.network.join(host)
        self.clients.hosts = self.hosts
        self.injector = Injector(self.agenda, self.trace, self.network, self.hosts, self.streams)

    # --- phases ---------------------------------------------------------------------------------

    def run(self) -> Result:
        self.start()
        self.agenda.run(self.plan.faults_us)
        self.heal()
        self.agenda.run(self.plan.faults_us + SETTLE_US)
        self.quieten()
        self.agenda.run(self.plan.faults_us + SETTLE_US + self.plan.liveness_us)
        return self.finish()

    def start(self) -> None:
        plan = self.plan
        options = msgspec.json.encode(plan).decode()
        about = Run(
            schema=SCHEMA,
            source="sim",
            scenario=plan.scenario,
            seed=plan.seed,
            nodes=plan.nodes,
            detail=self.detail,
            options=options,
        )
        self.injector.schedule(plan.faults)  # before any event: a branch may replace them
        self.trace.add(0, "", 0, about)
        self.trace.add(0, "", 0, Phase("faults"))
        rng = self.streams.stream("boots")
        for at, host in enumerate(self.hosts.values()):
            self.agenda.put(rng.randrange(plan.boot_spread_us + 1), BOOTS + at, host.start)
        for at, op in enumerate(plan.ops):
            self.agenda.put(op.at_us, OPS + at, self._ask, op)

    # --- by hand, while it runs: as if the plan had contained it from the start -------------------

    def ask(self, op: Op) -> None:
        """One op more, at a time still to come."""
        self.agenda.put(op.at_us, OPS + len(self.plan.ops), self._ask, op)
        self.plan = replace(self.plan, ops=(*self.plan.ops, op))

    def inflict(self, timed: Timed) -> None:
        """One fault more, at a time still to come, and so must be what it does before that."""
        self.injector.schedule((timed,))
        self.plan = replace(self.plan, faults=(*self.plan.faults, timed))

    def end(self, fault: int, until_us: int) -> None:
        """End an active fault at a time still to come."""
        self.injector.end_at(fault, until_us)
        faults = [
            replace(one, until_us=until_us) if one.id == fault else one for one in self.plan.faults
        ]
        self.plan = replace(self.plan, faults=tuple(faults))

    def heal(self) -> None:
        """The time T_f: every fault ends, and every node is started."""
        self.injector.end_all()
        self._phase(Phase("heal"))

    def quieten(self) -> None:
        """Nothing new is said from here on. The scrub has had its time: see docs/lab.md."""
        for host in self.hosts.values():
            host.look_over()
        self.clients.give_up()
        self._phase(Phase("liveness", self.plan.liveness_us))

    def finish(self) -> Result:
        self.clients.close()
        tried = stream(self.plan.seed, "refold").choice(self.plan.nodes)
        for host in self.hosts.values():
            if host.process is not None:
                host.process.close_quiet()
                again = host.name == tried and self.detail != "lean"
                host.tell(self._final(host, host.process.replica, again=again))
                self.shared.ended(host, host.process.replica, host.process.commits.log)
        if self.branch is None or self.branch.drills:
            for part, reason in differences(stream(self.plan.seed, "drills")):
                self._tell(Differs(part, reason))
        ledger = self.network.ledger
        counts = ledger.counts()
        counts["in_flight"] = self.network.in_flight + sum(
            host.process.put_aside for host in self.hosts.values() if host.process is not None
        )
        enabled = tuple(sorted({word(timed.fault) for timed in self.injector.planned.values()}))
        self._tell(Totals(counts, dict(sorted(ledger.fired.items())), enabled))
        self._tell(Phase("end"))
        failures = tuple(self.shared.core_failures)
        return Result(self.plan, self.trace, ledger, self.agenda.done, failures)

    def _branch_off(self, event: Event) -> None:
        """Not an observer: once, it changes what comes after this event. It records nothing."""
        branch = self.branch
        if branch is not None and event.seq == branch.after:
            self.streams.reseed(branch.seed)
            if branch.faults is not None:
                self.injector.replace_rest(branch.faults)

    def _ask(self, op: Op) -> None:
        self.clients.due(op)

    # --- telling --------------------------------------------------------------------------------

    def _tell(self, data: Phase | Totals | Differs) -> None:
        self.trace.add(self.agenda.now_us, "", 0, data)

    def _phase(self, phase: Phase) -> None:
        self._tell(phase)
        for host in self.hosts.values():
            if host.process is not None:
                replica = host.process.replica
                missing = replica.frontier.missing
                host.tell(State(replica.root.hex(), len(replica.timeline), missing, replica.state))

    def _final(self, host: Host, replica: Replica, *, again: bool) -> Final:
        now_ms = host.clock.read(self.agenda.now_us)[0]
        lean = self.detail == "lean"
        return final_of(replica, self.shared.known, now_ms, again=again, lean=lean)


@lru_cache(maxsize=8)
def moderator_of(rules: tuple[WordRule, ...]) -> Moderator:
    """Its verdicts depend on the text alone, so that all nodes of all runs can share one."""
    return Moderator(Policy(tuple([Rule(one.id, one.words, one.action) for one in rules]), ()))


def configs(plan: Plan) -> Iterable[ReplicaConfig]:
    """The configuration of each replica."""
    policy = moderator_of(plan.rules).policy
    rng = stream(plan.seed, "views")
    for name in plan.nodes:
        if plan.views and plan.views < len(plan.nodes) - 1:
            seen = rng.sample(plan.nodes, plan.views + 1)
            peers = tuple([one for one in seen if one != name][: plan.views])
        else:
            peers = tuple([one for one in plan.nodes if one != name])
        yield ReplicaConfig(
            node=name,
            cluster=CLUSTER,
            peers=peers,
            durability=plan.durability,
            policy=policy,
            quiet_ms=plan.quiet_ms,
            gossip=plan.gossip,
            unwritten=plan.disk.unwritten,
        )


def run(
    scenario: Scenario,
    seed: int,
    *,
    detail: Detail = "normal",
    observers: Iterable[Observer] = (),
    paranoid: bool = False,
) -> Result:
    return run_plan(draw(scenario, seed), detail=detail, observers=observers, paranoid=paranoid)


def run_plan(
    plan: Plan,
    *,
    detail: Detail = "normal",
    observers: Iterable[Observer] = (),
    paranoid: bool = False,
) -> Result:
    return World(plan, detail=detail, observers=observers, paranoid=paranoid).run()
