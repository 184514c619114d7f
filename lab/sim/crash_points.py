"""Crash points: named sites in a node's code at which a fault of the plan may end its process."""

from random import Random

from lab.plan.faults import Point, Site


class ArmedPoint:
    """A crash point that is switched on. Mutable."""

    def __init__(self, point: Point, rng: Random) -> None:
        self.point = point
        self._rng = rng
        self._left = point.times

    def fires(self, site: Site) -> bool:
        if site != self.point.site or not self._left or self._rng.random() >= self.point.share:
            return False
        self._left -= 1
        return True
