"""The very same sources, run faster: hot modules as C extensions, in a tree beside the sources.

    scripts/compile                                build the tree, if the sources have changed
    scripts/compile chatlab lab explore            and run a command on it, with all that it starts

Rules
- The source is the truth. Tests, coverage and mutants run it as it is; nothing here is installed.
- Compiled and interpreted runs have the same build ids, trace hashes and verdicts. A token found by
  one is replayed by the other.
- A tree is named after all that it was made from, so that a stale one is never run.

`hot` says which modules, `split` makes them fit for mypyc, `build` drives it and the compiler of C,
`tree` knows where it all is.
"""
