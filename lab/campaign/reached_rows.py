"""The rows of the coverage table: names of the states and transitions of the core that
`lab.campaign.reached` counts. A new row is added here and explained in docs/lab.md.
"""

EPOCHS = {  # by the reason that an epoch is opened for
    "new log": "epoch: new log",
    "tail repaired": "epoch: tail repaired",
    "damage in the journal": "epoch: damage",
    "the identity file is lost": "epoch: IDENTITY lost",
    "the data directory is a copy": "epoch: copied directory",
    "the end of the journal is lost": "lost end found",
    "unclean stop in mode interval": "epoch: unclean stop, interval",
    "unclean stop in mode none": "epoch: unclean stop, none",
    "a peer holds more of this log than this node did": "epoch: pulled back",
    "a peer claimed to hold more of this log and had nothing to show": "epoch: claim refuted",
}
NOTES = {
    "fork_found": "fork",
    "own_log_ahead": "own log ahead",
    "peer_suspect": "peer suspect",
    "peer_dead": "peer dead",
    "writes_behind": "behind: queue full",
    "writes_caught_up": "caught up",
    "writes_refused": "writes refused",
    "writes_resumed": "writes resumed",
    "storage_failed": "storage failed",
    "journal_damaged": "scrub found damage",
    "checkpoints_doubted": "checkpoints found rotten",
    "checkpoint_unwritten": "checkpoint unwritten",
    "worker_crashed": "transport crashed",
    "node_gave_up": "restart budget given up",
    "places_full": "origin's places full",
}
COUNTERS = {  # of a replica, when its life ends
    "entries_far": "range above the cap",
    "entries_full": "origins full",
    "entries_rival": "rival entry",
    "entries_duplicate": "entry twice",
    "entries_unread": "work for a packet bounded",
    "pushes_held": "push held back",
    "rounds_missed": "round missed",
    "rounds_useless": "useless round backed off",
    "unwritable": "entries stripped while stuck",
}
# Rows that only hostile peers, or more restarts than a run has time for, can reach: they are listed
# where they are reached, and never count as missing. docs/lab.md names the tests that reach them.
RARE = frozenset(
    {
        *("epoch: claim refuted", "restart budget given up", "work for a packet bounded"),
        *("origins full", "origin's places full"),
    }
)
ROWS: tuple[str, ...] = (
    *(row for row in EPOCHS.values() if row not in RARE),
    *("own log ahead", "fork", "rival entry"),
    *("ranges above the prefix", "range above the cap", "disputed log named"),
    *("backlog leg", "delta cut inside a run", "entry twice"),
    *("fold sent", "fold opened"),
    *("rumor", "rumor feedback"),
    *("receipt", "receipt lost", "receipt late", "replicated by all"),
    *("round missed", "useless round backed off"),
    *("peer suspect", "peer dead", "suspicion refuted"),
    "stamp skewed",
    *("behind: queue full", "caught up", "push held back", "told to hold back"),
    *("writes refused", "writes resumed", "entries stripped while stuck"),
    *("write failed", "disk full", "storage failed for good", "read_only", "journal taken away"),
    *("segment begun", "rotation failed"),
    *("torn tail", "hole", "hole filled again", "unrenewed", "renewed"),
    *("checkpoints believed", "checkpoints found rotten", "checkpoints rebuilt"),
    *("scrub found damage", "scrub repaired"),
    *("clean stop", "stop whose sync failed", "start refused", "died at a site"),
    "transport crashed",
    *("other disk refused", "older disk", "empty disk"),
)
