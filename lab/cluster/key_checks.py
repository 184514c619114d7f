"""Checks of a cluster's keys for `doctor`. Each check returns its findings in one line of text.

Nothing here connects to a node. A finding is what would prevent a node from starting, or would
admit a peer or client that should have no access.
"""

from pathlib import Path

from lab.client.location import listed
from node.config.cluster_file import ClusterConfig, ConfigError, is_loopback
from node.security.key_files import check_folder, read_secret, read_trusted, secret_file
from node.security.keyring import Keyring

Finding = tuple[bool, str]


def key_files(config: ClusterConfig, folder: Path) -> Finding:
    """Folder, secret keys and list belong to their owner alone, and can be read."""
    if not folder.exists():
        text = f"none in {folder}"
        return not config.encrypt, text + (": `chatlab keys new`" if config.encrypt else "")
    try:
        check_folder(folder)
        names = sorted(path.stem for path in folder.glob("*.secret"))
        for name in names:
            read_secret(folder, name)
        count = len(read_trusted(folder).keys)
    except ConfigError as error:
        return False, str(error)
    return True, f"{len(names)} secret keys and a list of {count} in {folder}, for their owner only"


def peers_keys(config: ClusterConfig, folder: Path) -> Finding:
    """Each node is trusted with a key, and whose secret key is here has the one of the list."""
    if not config.encrypt:
        return True, "not used: the file does not say `encrypt: true`"
    names = [node.name for node in config.nodes]
    try:
        trusted = read_trusted(folder)
        here = [name for name in names if secret_file(folder, name).exists()]
        lacking = [name for name in names if trusted.public_of(name, "peer") is None]
        if lacking:
            return False, (
                f"no trusted key of {listed(lacking)}: `chatlab keys new {lacking[0]}` on its "
                f"machine, and `chatlab keys trust {lacking[0]} PUBLICKEY` on the others"
            )
        for name in here:
            Keyring(folder, name)
    except ConfigError as error:
        return False, str(error)
    return True, f"all {len(names)} nodes are trusted, {len(here)} of them can run here"


def encryption(config: ClusterConfig, folder: Path) -> Finding:  # noqa: ARG001  (as the others)
    """No node can be reached from another machine without a key."""
    if config.encrypt:
        return True, "gossip is encrypted, and only trusted keys come in"
    beyond = [
        f"{node.name} ({node.listen})"
        for node in config.nodes
        if node.listen is not None and not is_loopback(node.listen)
    ]
    if not beyond:
        return True, "not needed: every node listens on this machine only"
    chosen = " (`insecure: true` asks for it)" if config.insecure else ""
    return False, (
        f"everybody who reaches {listed(beyond)} is let in and can read along{chosen}: "
        "`chatlab keys new`, then `encrypt: true`"
    )
