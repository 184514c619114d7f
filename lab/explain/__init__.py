"""Explains one failed run: shrinks its plan, describes the result in sentences, and says from which
event on the failure was inevitable.

Imported by the command line only.

    shrink   a failing plan -> a smaller plan that fails the same checker (delta debugging)
    story    its trace -> sentences, each beside the event that it tells
    branches the run from a moment on, again and again with fresh chance -> when it was lost

Rules
- A candidate counts if the same checker fails. Why it fails may change on the way.
- A story says only what events of the trace say, and names them by their numbers.
- Shrinking stops at a time limit and says whether it was through.

Read `shrink`, `shrink_passes`, then `story`, `sentences`, `lessons`; then `inevitable` (estimates
and search, pure) and `branches`, which runs what the search asks for.
"""
