"""A `CheckContext` is what a checker of one run is constructed from: what has happened so far, what
the disks hold, and the thresholds.
"""

from msgspec import Struct

from lab.checkers.disk_model import Disks
from lab.checkers.run_history import RunHistory
from lab.checkers.thresholds import Thresholds


class CheckContext(Struct, frozen=True):
    history: RunHistory
    disks: Disks
    limits: Thresholds
