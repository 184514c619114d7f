"""A case: what a checker of one run is made from."""

from msgspec import Struct

from lab.checkers.disks import Disks
from lab.checkers.history import History
from lab.checkers.limits import Limits


class Case(Struct, frozen=True):
    history: History
    disks: Disks
    limits: Limits
