"""Where the nodes of a cluster listen: as the file says, or on free loopback ports, remembered.

Ports are taken below the system's range for outgoing connections. A port inside that range could be
lent to any connection while its node is down, and the node could not come back to it; worse, a peer
that dials it could by chance connect to itself.
"""

from lab.places import Place

PORTS_FIRST = 20_000
PORTS_LAST = 32_000
TRIES_MAX = 200


def assign(place: Place, anyone_runs: bool) -> None:
    """Make sure that every node has an address, and that the remembered ones can be used."""


def addresses_of(place: Place) -> dict[str, str]:
    return {}


def is_free(address: str) -> bool:
    return True
