"""The page of `chatlab lab play`: a session of the simulator, driven from a browser.

    with judges() as pool:
        page = PlayPage(PlaySession(plan), pool)
        page.server.run(ready, page.run)

Messages of its stream: `start` (a new trace begins: forget all rows), `rows` (columns, see
`lab.view.columns`) and `state` (see `_state`). Pages send deeds by `POST act`, as JSON: those of
`lab.play.deeds`, and the controls below. `GET token` and `GET plan.json` are the run until now.

    {"do": "play", "speed": 0.1}        simulated seconds in a second
    {"do": "step", "change": true}      to the next event that is no packet
    {"do": "back", "to_us": 2000000}    exactly as it was
"""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from typing import Annotated, Any, final

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lab.plan.faults import Timed, plan_to_json, word
from lab.play.deeds import Ask, End, Inflict, PlayError
from lab.play.judging import Judgement, judge_plan
from lab.play.session import SMALL, STEP_US_MAX, PlaySession
from lab.sim.clock import WALL_EPOCH_MS
from lab.sim.host import Host
from lab.sim.injector import detail_of, nodes_of
from lab.trace.kinds import Faulted
from lab.trace.trace import Event
from lab.view.columns import Columns, said
from lab.web.event_stream import Hub, message
from lab.web.server import WebServer, body_of

EVERY_S = 0.05  # from one look at the session to the next
LATE_S = 0.25  # what the clock runs on meanwhile counts so much at most
JUDGE_EVERY_S = 1.0  # while it plays
SPEED_MAX = 100.0

Moment = Annotated[int, Meta(ge=0, le=1 << 40)]


class _Control(Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


@final
class Play(_Control, frozen=True, tag="play"):
    speed: Annotated[float, Meta(gt=0, le=SPEED_MAX)] = 1.0


@final
class Hold(_Control, frozen=True, tag="hold"):
    pass


@final
class Step(_Control, frozen=True, tag="step"):
    change: bool = False  # not to a packet, or a word of the journal


@final
class Advance(_Control, frozen=True, tag="advance"):
    by_us: Annotated[int, Meta(gt=0, le=60_000_000)]


@final
class Back(_Control, frozen=True, tag="back"):
    to_us: Moment


@final
class Go(_Control, frozen=True, tag="go"):
    branch: str
    to_us: Moment | None = None


@final
class Fork(_Control, frozen=True, tag="fork"):
    name: str = ""


Action = Ask | Inflict | End | Play | Hold | Step | Advance | Back | Go | Fork
_decode = msgspec.json.Decoder(Action).decode


class PlayPage:
    """Mutable. Everything happens in the event loop of its server, but judging."""

    def __init__(
        self,
        session: PlaySession,
        judges: ProcessPoolExecutor,
        *,
        port: int = 0,
        planted: str = "",
    ) -> None:
        self.session = session
        self.hub = Hub()
        routes = [
            Route("/stream", self._stream),
            Route("/act", self._act, methods=["POST"]),
            Route("/token", self._token),
            Route("/plan.json", self._plan),
        ]
        self.server = WebServer("play.html", routes, port=port, hub=self.hub, read_only=False)
        self._judges = judges
        self._planted = planted  # before a token: what plants the bug again
        self._speed = 0.0  # simulated seconds in a second; 0: it stands still
        self._said = ""  # why it stands still
        self._judgement: Judgement | None = None
        self._judged: tuple[int, int] | None = None  # the place that it is about
        self._columns = Columns()
        self._seen = 0  # events that are in the columns
        self._replays = -1  # of the session, when the columns began
        self._sent: list[bytes] = []  # the rows that pages have, as messages

    async def run(self) -> None:
        """Let the session go on as the person wants, and have it judged, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._judge())
            tasks.create_task(self._play())

    # --- what pages send --------------------------------------------------------------------------

    async def _act(self, request: Request) -> Response:
        try:
            action = _decode(await body_of(request))
        except msgspec.MsgspecError as error:
            return PlainTextResponse(f"that is nothing one can do: {error}", 400)
        try:
            self._do(action)
        except PlayError as error:
            return PlainTextResponse(str(error), 409)
        finally:
            self._publish()
        return PlainTextResponse("")

    def _do(self, action: Action) -> None:
        session = self.session
        self._said = ""
        if not isinstance(action, Play | Ask | Inflict | End):
            self._speed = 0.0
        if isinstance(action, Play):
            self._speed = action.speed
        elif isinstance(action, Step):
            if not session.step(over=SMALL if action.change else frozenset()):
                self._said = f"nothing happened for {STEP_US_MAX // 1_000_000} s"
        elif isinstance(action, Advance):
            session.advance(action.by_us)
        elif isinstance(action, Back):
            session.back(action.to_us)
        elif isinstance(action, Go):
            session.go(action.branch, action.to_us)
        elif isinstance(action, Fork):
            session.fork(action.name)
        elif not isinstance(action, Hold):
            session.do(action)

    async def _plan(self, _: Request) -> Response:
        plan = plan_to_json(self.session.plan()) + b"\n"
        headers = {"Content-Disposition": 'attachment; filename="play.json"'}
        return Response(plan, media_type="application/json", headers=headers)

    async def _token(self, _: Request) -> Response:
        try:
            judgement = await self._judged_now()
        except BrokenExecutor:
            return PlainTextResponse("the process of the checkers has ended", 500)
        if not judgement.token:
            return PlainTextResponse("too much for a token: save the plan", 409)
        return PlainTextResponse(self._planted + judgement.token)

    # --- what goes on -----------------------------------------------------------------------------

    async def _play(self) -> None:
        last_s = time.monotonic()
        while True:
            await asyncio.sleep(EVERY_S)
            last_s, since_s = time.monotonic(), time.monotonic() - last_s
            if self._speed:
                try:
                    self.session.advance(int(self._speed * min(since_s, LATE_S) * 1_000_000))
                except PlayError as error:
                    self._speed, self._said = 0.0, str(error)
                self._publish()

    async def _judge(self) -> None:
        """Whenever the session is elsewhere; while one is judged, newer moments replace another."""
        while True:
            if self._judged == self._place:
                await asyncio.sleep(EVERY_S)
                continue
            try:
                await self._judged_now()
            except BrokenExecutor:
                self._said = "the process of the checkers has ended: no more verdicts"
                return
            finally:
                self._publish()
            await asyncio.sleep(JUDGE_EVERY_S if self._speed else 0)

    @property
    def _place(self) -> tuple[int, int]:
        return self.session.replays, self.session.now_us

    async def _judged_now(self) -> Judgement:
        place = self._place
        if self._judgement is None or self._judged != place:
            plan, loop = self.session.plan(), asyncio.get_running_loop()
            judgement = await loop.run_in_executor(self._judges, judge_plan, plan)
            self._judgement, self._judged = judgement, place
            return judgement
        return self._judgement

    # --- what pages get ---------------------------------------------------------------------------

    async def _stream(self, request: Request) -> Response:
        self._publish()
        first = (message("start", None), *self._sent, message("state", self._state()))
        return self.hub.stream(request, first)

    def _publish(self) -> None:
        for whole in self._news():
            self.hub.send(whole)
        if self.hub.pages:
            self.hub.publish("state", self._state())

    def _news(self) -> Iterator[bytes]:
        """Rows that pages do not have yet."""
        session = self.session
        if self._replays != session.replays:
            self._replays = session.replays
            self._columns, self._seen = Columns(), 0
            self._sent.clear()
            yield message("start", None)
        events = session.trace.events
        if self._seen == len(events):
            return
        self._columns.add_all(events[self._seen :])
        self._seen = len(events)
        chunk = self._columns.take()
        if self._sent:
            del chunk["kinds"]  # which they know
        self._sent.append(message("rows", chunk))
        yield self._sent[-1]

    def _state(self) -> dict[str, Any]:
        session = self.session
        return {
            "scenario": session.base.scenario,
            "seed": session.base.seed,
            "planted": self._planted,
            "now_us": session.now_us,
            "plan_us": session.base.faults_us if session.base.faults or session.base.ops else 0,
            "speed": self._speed,
            "said": self._said or session.broken,
            "branch": session.branch.name,
            "branches": [
                (one.name, one.parent, one.from_us, one.end_us) for one in session.branches
            ],
            "nodes": [_node(host, session.now_us) for host in session.world.hosts.values()],
            "active": [
                {"id": one.id, "fault": one.fault, "text": _told(one)} for one in session.active
            ],
            "judgement": self._verdicts(),
        }

    def _verdicts(self) -> dict[str, Any] | None:
        judgement = self._judgement
        if judgement is None:
            return None
        return {
            "at_us": judgement.at_us,
            "now": self._judged == self._place,
            "same_trace": self._judged is not None and self._judged[0] == self.session.replays,
            "outcome": judgement.outcome,
            "rows": judgement.standings,
        }


def _told(one: Timed) -> str:
    """An active fault, as a diagram says it."""
    nodes = nodes_of(one.fault)
    data = Faulted(one.id, word(one.fault), nodes, detail_of(one.fault))
    text = said(Event(t_us=one.at_us, seq=0, node="", inc=0, data=data))
    return f"{nodes[0]} {text}" if len(nodes) == 1 else text


def _node(host: Host, now_us: int) -> dict[str, Any]:
    process = host.process
    replica = process.replica if process is not None else None
    still = "paused" if host.paused else "refused" if host.refused else "down"
    return {
        "name": host.name,
        "life": host.incarnation,
        "health": still if replica is None or host.paused else replica.state,
        "events": len(replica.timeline) if replica is not None else None,
        "root": replica.root.hex()[:8] if replica is not None else "",
        "ahead_ms": host.clock.read(now_us)[1] - WALL_EPOCH_MS - now_us // 1000,
    }
