"""A bounded model checker: it searches every order in which two or three nodes can do a few things.

    found = search(Workload(posts=(1, 1)), Bounds(rounds=1, crashes=1))
    print(found.describe())             states, depth, time; the violation or the goal, step by step

A seed shows one order of events, and a search shows all of them, within bounds. It drives the very
same `Replica` as a process does; around it are a disk that takes what it is given when the search
says so, and packets that arrive, vanish or come twice when the search says so.

Rules
- A step is one of: a participant posts; the disk takes what was handed to it; a round begins; a
  packet arrives, is lost, or arrives and stays on its way; an exchange is given up; a node crashes
  and starts again, with or without the records that were on their way to the disk.
- Timers are abstracted: a round can begin at any moment, with any peer. The wall clock stands
  still, so that stamps tell causes and no times.
- Two states are one if everything in them is equal but what `fingerprint` names, and why.
- Breadth first: the first path to a violation is a shortest one.
- Safety is checked in each state (`invariants`). If it holds, each state is asked whether the nodes
  agree when they are left alone from there on (`liveness`).
- The goal is a state in which every post is on disk and visible at every node. If it is not
  reached, the nearest state is reported.
- `complete` says whether the bounded space was searched completely, or a limit was reached.

Theory of operation. A step touches one node. So a state is a tuple of *local* states by number, and
of the packets on their way. What a step does to a local state is computed once, by replaying that
node's own steps from its birth, and looked up ever after (`local_states`). Nothing is left out to
make the space smaller: packets keep their numbers, for a number decides whether an answer is taken.
"""

from lab.modelcheck.bfs import search
from lab.modelcheck.bounds import Bounds, Workload
from lab.modelcheck.result import Nearest, SearchResult, Violation

__all__ = ["Bounds", "Nearest", "SearchResult", "Violation", "Workload", "search"]
