"""Explains one failed run: shrinks its plan, and describes the result in sentences.

Imported by the command line only.

    shrink   a failing plan -> a smaller plan that fails the same checker (delta debugging)
    story    its trace -> sentences, each beside the event that it tells

Rules
- A candidate counts if the same checker fails. Why it fails may change on the way.
- A story says only what events of the trace say, and names them by their numbers.
- Shrinking stops at a time limit and says whether it was through.

Read `shrink`, `shrink_passes`, then `story`, `sentences`, `lessons`.
"""
