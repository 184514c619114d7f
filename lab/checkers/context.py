"""A case: what a checker of one run is made from."""

from msgspec import Struct

from lab.checkers.disk_model import Disks
from lab.checkers.run_history import RunHistory
from lab.checkers.thresholds import Thresholds


class CheckContext(Struct, frozen=True):
    history: RunHistory
    disks: Disks
    limits: Thresholds
