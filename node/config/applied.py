"""The settings that a node runs with, as texts by name: to compare a running node with its file.

The node calls `applied` when it starts or reads its file again, and `chatlab up --apply` when it
compares. `name` and `data_dir` are not in it: they say where the state is, and cannot change.
"""

from hashlib import blake2b

import msgspec

from domain.moderation import Policy
from node.config.cluster_file import ClusterConfig

_COMMON = ("recovery", "interval_ms", "quiet_ms", "encrypt", "insecure", "keys_dir", "compress")
_MORE = ("trace", "scrub_bytes_per_s")
MODERATION = "moderation"  # the one that a node takes over in the middle of its life


def applied(config: ClusterConfig, name: str, policy: Policy, cluster_id: str) -> dict[str, str]:
    """Of this node of the cluster; `policy` is that of the file, with its words."""
    own = config.node(name)
    peers = [f"{peer.name}@{peer.listen or ''}" for peer in config.nodes if peer.name != name]
    words = blake2b(msgspec.json.encode(policy), digest_size=8).hexdigest()
    values: dict[str, object] = {
        "id": cluster_id,
        "peers": " ".join(sorted(peers)),
        "durability": own.durability or config.durability,
        "listen": own.listen or "",
        "control": own.control.listen if own.control else "",
        "feed": own.feed.listen if own.feed else "",
        "metrics": config.metrics_address(name),
        MODERATION: words,
        **{key: getattr(config, key) for key in (*_COMMON, *_MORE)},
    }
    for prefix, part in (("gossip", config.gossip), ("restarts", config.restarts)):
        values |= {f"{prefix}.{key}": value for key, value in msgspec.structs.asdict(part).items()}
    return {key: "" if value is None else str(value) for key, value in values.items()}


def differing(left: dict[str, str], right: dict[str, str]) -> list[str]:
    """The names of what is not the same, sorted."""
    return sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
