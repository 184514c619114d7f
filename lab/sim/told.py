"""A replica that tells what it is fed and what it hands over, for traces of detail full."""

from random import Random

from domain.moderation import Moderator
from lab.conformance import Recorder
from node.ports import EventCodec, Pages
from node.replica import Replica, ReplicaConfig
from node.turn import Input, Outbox


class ToldReplica(Replica):
    """As `node.recorder.RecordedReplica` is for a process. Its boot is told by its host."""

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
