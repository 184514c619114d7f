"""A replica that records its inputs and outputs, for traces of detail `full`."""

from random import Random

from domain.moderation import Moderator
from lab.sim.conformance import Recorder
from node.core.interface import Input, Outbox
from node.core.ports import EventCodec, Pages
from node.core.replica import Replica, ReplicaConfig


class TracingReplica(Replica):
    """As `RecordedReplica` (`node.recording.recorder`) for a process. Its host tells its boot."""

    def __init__(
        self,
        config: ReplicaConfig,
        codec: EventCodec,
        rng: Random,
        incarnation: int,
        moderator: Moderator,
        pages: Pages | None,
        recorder: Recorder,
    ) -> None:
        super().__init__(config, codec, rng, incarnation, moderator, pages)
        self._recorder = recorder

    def step(self, item: Input) -> None:
        self._recorder.step(item)
        super().step(item)

    def drain(self) -> Outbox:
        outbox = super().drain()
        self._recorder.drained(outbox)
        return outbox
