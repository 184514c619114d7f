"""Windows: the parts of a text in which covering some of it can have brought something to light.

That is within reach of what was covered: as far as the longest word goes, spelt out. Each window
has a margin around it, for an allowed phrase, and because a cut makes words of parts of words.
Reach and margin are counted as words are read: in signs, and a run of one sign, or of what is
between words, is one. What is shown backwards is near as a whole or not at all, for its ends change
places.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import compress

from msgspec import Struct

from domain.folding import Folding
from domain.shapes import runs_of
from domain.views import PLAIN_WORDS, without_runs

# Code points. No code point is read as so many signs that these would be out of reach, and mostly
# one word is so close to the next: what is merged by this first makes the same windows.
CLOSE = 4

Span = tuple[int, int]


class Window(Struct, frozen=True, gc=False):
    """[start, end) of a text, and [inner, outer) of it without the margin, in code points."""

    start: int
    end: int
    inner: int
    outer: int

    def __len__(self) -> int:
        return self.end - self.start


def windows_around(
    covered: Sequence[Span], text: str, folding: Folding, reach: int, margin: int
) -> list[Window]:
    """In the order of the text, as `covered` is. `reach` and `margin` are in signs."""
    kept = without_runs(folding.codes(text).translate(PLAIN_WORDS))[1]
    at = list(compress(folding.places(text), kept))
    near = _in_signs(covered, at)
    starts = [start for start, _ in near]
    size, found = len(at), list[Window]()
    for first, last in merged([*near, *_in_signs(runs_of(text), at)], reach + margin, size):
        if bisect_left(starts, first) == bisect_right(starts, last):
            continue  # what is shown backwards, and nothing that was covered
        start, inner = (at[first], at[first + margin]) if first else (0, 0)
        outer, end = (at[last - margin], at[last]) if last < size else (len(text), len(text))
        found.append(Window(start, end, inner, outer))
    return found


def merged(spans: Iterable[Span], reach: int, size: int) -> list[Span]:
    """What is within reach of the spans, of [0, size). What would meet is one."""
    found = list[Span]()
    for start, end in sorted(spans):
        first, last = max(0, start - reach), min(size, end + reach)
        if found and first <= found[-1][1]:
            first, last = found[-1][0], max(last, found.pop()[1])
        found.append((first, last))
    return found


def _in_signs(spans: Iterable[Span], at: Sequence[int]) -> list[Span]:
    return [(bisect_left(at, start), bisect_left(at, end)) for start, end in spans]
