"""Exports convert a trace to the format of another tool: ShiViz, TSViz or Perfetto.

    write_shiviz(trace, path, around=812)    a space-time diagram, for ShiViz and TSViz
    write_perfetto(trace, path)              a time line with arrows, for Perfetto

Rules
- An export is a reading of a trace, simulated or real. It adds nothing that the trace does not say,
  and it never changes one.
- Both tools drop what breaks their rules without a word: a clock that skips, an arrow that begins
  outside of a slice. So the rules are kept here to the letter, and tests/lab/exports reads the
  files back as the tools do.
- Text of users passes `display_safe`: one line, nothing hidden.

The rules of each form stand in its module. `labels` has the words that both use.
"""

from lab.exports.perfetto import write_perfetto
from lab.exports.shiviz import write_shiviz

__all__ = ["write_perfetto", "write_shiviz"]
