"""The addresses at which the nodes of a cluster on this machine listen: assigned before a start,
and read afterwards.
"""

from pathlib import Path

from lab.client.location import ClusterLocation
from node.config.addresses import Directory, is_free
from node.config.cluster_file import load
from node.config.paths import AddressBook

__all__ = ["addresses_of", "assign", "is_free"]


def assign(place: ClusterLocation, *, anyone_runs: bool) -> None:
    """Give every node an address, before the first one starts. Raises OSError, ConfigError."""
    _directory(place).assign(renew_taken=not anyone_runs)


def addresses_of(place: ClusterLocation) -> dict[str, str]:
    """The endpoints that are known so far."""
    return _directory(place).current()


def _directory(place: ClusterLocation) -> Directory:
    return Directory(load(Path(place.file)), AddressBook(Path(place.address_book)))
