"""Measures what observers cost, and how fast they show things. Each part has a module of its own.

- `observer_cost`: what observers cost the nodes, and themselves; and what a history costs.
- `report_page`: the file of `lab report` for a run of 10^5 events, and its frames in Chromium.
- `play_rewind`: going back in `lab play`, by a minute of five nodes.
- `watch_screen`: `chatlab watch` in a terminal: its first frame, and what ten frames a second cost.
- `when_lost`: `lab replay --when` of a failure that was made small.
"""

from lab.bench import observer_cost, play_rewind, report_page, watch_screen, when_lost
from lab.bench.figures import Figure
from lab.bench.session import Session


def run(session: Session) -> list[Figure]:
    return [
        *observer_cost.figures(session),
        *report_page.figures(session),
        *play_rewind.figures(session),
        *watch_screen.figures(session),
        *when_lost.figures(),
    ]
