"""Which modules become C extensions: where a run of the simulator, or a busy node, spends its time.

All of `domain`, `gossip`, the simulator and the checkers; of `node` the pure core, and what stores
and reads. What waits for sockets, tells people things or runs once stays as it is.
"""

from pathlib import Path

PATTERNS = (
    "domain/*.py",
    "gossip/*.py",
    "gossip/reconcile/vector.py",
    "lab/sim/*.py",
    "lab/checkers/*.py",
    "lab/trace.py",
    # The pure core, and its parts.
    *[f"node/{name}.py" for name in ("replica", "turn", "ports", "ack", "bodies", "checkpoint")],
    *[f"node/{name}.py" for name in ("emitter", "epochs", "foreseen", "forks", "heads", "intake")],
    *[f"node/{name}.py" for name in ("link", "ownlog", "past", "penalties", "pending", "promises")],
    *[f"node/{name}.py" for name in ("inbox", "telling", "turns", "writing")],
    # The journal.
    *[f"node/{name}.py" for name in ("codec", "checkpoint_codec", "checkpoints", "frames")],
    *[f"node/{name}.py" for name in ("index", "journal", "located", "pages", "recovery")],
    *[f"node/{name}.py" for name in ("blocks", "group_commit", "passes", "storage", "survey")],
    # Cold, but with classes that inherit from the ones above: interpreted ones could not.
    *[f"node/{name}.py" for name in ("recorder", "scrub")],
)


def hot_modules(root: Path) -> list[str]:
    """Their names, such as `gossip.engine`. No packages: their names must be found first."""
    return [
        ".".join(path.relative_to(root).with_suffix("").parts)
        for pattern in PATTERNS
        for path in sorted(root.glob(pattern))
        if path.name != "__init__.py"
    ]
