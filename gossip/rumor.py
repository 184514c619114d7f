"""Rumor mongering: hot news is pushed to random peers until it stops being news.

Demers et al. 1987, section 1.4, the variant "feedback, counter, push": each rumor has a counter of
useless contacts; a useful contact resets it to zero; at k the rumor cools and is forgotten. What
rumors miss (the residue) is left to anti-entropy.

How much that is: the paper's table 1, of 1000 sites in cycles, leaves 3.7 % at k = 2, for
3.3 pushes a site. Its sites judge a push by what was known when the cycle began. Here a push is
judged as it arrives, so that of several in one cycle only the first is useful: these very tables,
with 1000 sites and one push a site and cycle, leave 4.5 % at 3.1 pushes (200 trials, error 0.05 %;
3.6 % where they judge as the paper does). `lab.experiments.demers` measures both.

A rumor here is one run of entries, learnt together; a run that would not fit into one push of ours,
for its sender's budget was larger, becomes several. The table is bounded, by number and by bytes:
when it is full, the rumor that has been told most often goes first, because it is the likeliest to
be known. What is forgotten keeps its place among the pushes that told it, without its entries.
"""

from msgspec import Struct

from gossip.delta import split
from gossip.packets import ENTRIES_MAX, Run

RUMORS_MAX = 1024
RUMOR_BYTES_MAX = 8 * 1024 * 1024  # of entries, in all rumors
RUN_BYTES_MAX = 256 * 1024  # of one rumor
PUSHES_REMEMBERED_MAX = 4096


_NOTHING = Run("", 1, 1, [])


class Rumor(Struct):
    run: Run
    size: int
    useless: int = 0
    times_sent: int = 0


class Rumors:
    def __init__(self, k: int, run_bytes_max: int = RUN_BYTES_MAX) -> None:
        self._k = k
        self._run_bytes_max = run_bytes_max
        self._hot: list[Rumor] = []
        self._bytes = 0  # in the hot ones
        self._pushes: dict[int, list[Rumor]] = {}  # by token: what it told, oldest first
        self.cooled = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._hot)

    def learn(self, runs: list[Run]) -> None:
        parts = [part for run in runs for part in split(run, self._run_bytes_max)]
        made = [Rumor(run, size) for run, size in parts]
        self._hot += made
        self._bytes += sum(rumor.size for rumor in made)
        if len(self._hot) > RUMORS_MAX or self._bytes > RUMOR_BYTES_MAX:
            self._hot.sort(key=lambda rumor: rumor.times_sent)
            while len(self._hot) > RUMORS_MAX or self._bytes > RUMOR_BYTES_MAX:
                self._forget(self._hot.pop())
                self.dropped += 1

    def _forget(self, rumor: Rumor) -> None:
        rumor.run = _NOTHING
        self._bytes -= rumor.size

    def tell(self, token: int, budget_bytes: int) -> list[Run]:
        """The runs for a push with this token, hottest first, within the budget."""
        pushed: list[Rumor] = []
        size = entries = 0
        for rumor in sorted(self._hot, key=lambda rumor: rumor.times_sent):
            size, entries = size + rumor.size, entries + len(rumor.run.data)
            if pushed and (size > budget_bytes or entries > ENTRIES_MAX):
                break
            rumor.times_sent += 1
            pushed.append(rumor)
        self._pushes[token] = pushed
        while len(self._pushes) > PUSHES_REMEMBERED_MAX:
            del self._pushes[next(iter(self._pushes))]
        return [rumor.run for rumor in pushed]

    def feedback(self, token: int, useful: list[bool]) -> None:
        """The answer to a push: for each run, whether it brought anything new. Counts once."""
        for rumor, news in zip(self._pushes.pop(token, ()), useful, strict=False):
            rumor.useless = 0 if news else rumor.useless + 1
        cooled = [rumor for rumor in self._hot if rumor.useless >= self._k]
        if cooled:
            self._hot = [rumor for rumor in self._hot if rumor.useless < self._k]
            self.cooled += len(cooled)
            for rumor in cooled:
                self._forget(rumor)
