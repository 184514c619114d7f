"""The view is what an observer knows of a cluster: who holds what, links, workers, presence, quiet.

Imported by everything that shows a cluster: `watch`, `stat`, pages, reports. It imports the trace,
and of a node only its public values; no I/O, no clock.

    cluster_view   a fold of trace events and polls: the view of one moment
    held           what a node shows: all of it exactly, in little memory
    history        the events of a run, kept within bounds: the view of any moment, `at(t_us)`
    facts          the content of an event of the chat, as a trace says it
    columns        events as arrays of numbers, the form in which pages get them

Rules
- One schema for all sources: a simulated run and a recorded one are trace events already, and
  `lab.observe` turns what it reads of running nodes into trace events, and into a `Poll` for what a
  trace does not have. So the same fold shows a live cluster, a recorded run and a simulated one.
- The view is local and may be wrong: it holds what reached this observer. What an event says about
  a node is true of that node at that moment only.
- A view sends nothing and decides nothing.

Read `cluster_view`, then `history`, then `columns`.
"""
