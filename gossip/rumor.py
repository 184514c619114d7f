"""Rumor mongering: hot news is pushed to random peers until it stops being news.

Demers et al. 1987, section 1.4, the variant "feedback, counter, push": each rumor has a counter of
useless contacts; a useful contact resets it to zero; at k the rumor cools and is forgotten. What
rumors miss (the residue, 3.7 % at k = 2) is left to anti-entropy.

A rumor here is one run of entries, learnt together. The table is bounded: when it is full, the
rumor that has been told most often goes first, because it is the likeliest to be known.
"""

from msgspec import Struct

from gossip.packets import Run

RUMORS_MAX = 1024
PUSHES_REMEMBERED_MAX = 4096


class Rumor(Struct):
    run: Run
    useless: int = 0
    told: int = 0


class Rumors:
    def __init__(self, k: int) -> None:
        self._k = k
        self._hot: list[Rumor] = []
        self._pushes: dict[int, list[Rumor]] = {}  # packet number -> what it told, oldest first
        self.cooled = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._hot)

    def learn(self, runs: list[Run]) -> None:
        self._hot.extend(Rumor(run) for run in runs)
        excess = len(self._hot) - RUMORS_MAX
        if excess > 0:
            self._hot.sort(key=lambda rumor: rumor.told)
            del self._hot[RUMORS_MAX:]
            self.dropped += excess

    def tell(self, number: int, budget_bytes: int) -> list[Run]:
        """The runs for a push with this packet number, hottest first, within the budget."""
        told: list[Rumor] = []
        size = 0
        for rumor in sorted(self._hot, key=lambda rumor: rumor.told):
            size += sum(map(len, rumor.run.data))
            if told and size > budget_bytes:
                break
            rumor.told += 1
            told.append(rumor)
        self._pushes[number] = told
        while len(self._pushes) > PUSHES_REMEMBERED_MAX:
            del self._pushes[next(iter(self._pushes))]
        return [rumor.run for rumor in told]

    def feedback(self, number: int, useful: list[bool]) -> None:
        """The answer to a push: for each run, whether it brought anything new. Counts once."""
        for rumor, news in zip(self._pushes.pop(number, ()), useful, strict=False):
            rumor.useless = 0 if news else rumor.useless + 1
        before = len(self._hot)
        self._hot = [rumor for rumor in self._hot if rumor.useless < self._k]
        self.cooled += before - len(self._hot)
