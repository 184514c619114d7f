"""Mail: packets that wait to be sent, each with its number.

A number is used once in a start of the node; with the start it makes the token by which a reply
names its packet (`gossip.incarnation.token_of`). The engine takes the mail at each `flush`.
"""

from gossip.incarnation import token_of
from gossip.membership import Membership
from gossip.packets import PROTOCOL_VERSION, Body, Packet


class Mail:
    """Mutable; not thread-safe."""

    def __init__(self, members: Membership, cluster: int) -> None:
        self._members = members
        self._cluster = cluster
        self._number = 0
        self._waiting: list[tuple[str, Packet]] = []

    @property
    def next_token(self) -> int:
        """What answers to the next packet will call it."""
        return token_of(self._members.incarnation, self._number + 1)

    def send(self, peers: list[str], body: Body) -> None:
        """Queue one packet for these peers."""
        self._number += 1
        node, incarnation = self._members.node, self._members.incarnation
        packet = Packet(
            version=PROTOCOL_VERSION,
            cluster=self._cluster,
            sender=node,
            incarnation=incarnation,
            number=self._number,
            body=body,
        )
        for peer in peers:
            self._waiting.append((peer, packet))

    def take(self) -> list[tuple[str, Packet]]:
        """What waits, by the name of the peer."""
        waiting, self._waiting = self._waiting, []
        return waiting
