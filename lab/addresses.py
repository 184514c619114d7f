"""Where the nodes of a cluster on this machine listen, for whoever starts or examines it."""

from pathlib import Path

from lab.places import Place
from node.addresses import Directory, is_free
from node.config import load
from node.paths import AddressBook

__all__ = ["addresses_of", "assign", "is_free"]


def assign(place: Place, *, anyone_runs: bool) -> None:
    """Give every node an address, before the first one starts. Raises OSError, ConfigError."""
    _directory(place).assign(renew_taken=not anyone_runs)


def addresses_of(place: Place) -> dict[str, str]:
    """The endpoints that are known so far."""
    return _directory(place).current()


def _directory(place: Place) -> Directory:
    return Directory(load(Path(place.file)), AddressBook(Path(place.address_book)))
