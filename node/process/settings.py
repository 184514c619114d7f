"""What a runtime is given (`NodeSettings`) and what it returns (`Closed`, `Ending`). Values."""

from collections.abc import Callable

from msgspec import Struct

from node.core.ports import Durability, Note

STORAGE_CODE = 5  # of a process that ends over its journal
WriteNote = Callable[[Note, str], None]  # and the worker that says it
Addresses = Callable[[], dict[str, str]]  # the endpoints of the nodes, as far as they are known


class NodeSettings(Struct, frozen=True):
    """What a runtime is told about its node."""

    node: str
    cluster: int  # what packets say of it, see `gossip.wire.cluster_hash`
    listen: str
    peers: tuple[str, ...]
    control: str
    feed: str
    pid: int
    control_listen: str | None = None  # besides the socket, for those who have a key
    feed_listen: str | None = None
    durability: Durability = "always"
    interval_ms: int = 100
    restart_budget: int = 5
    restart_window_s: float = 60.0
    compress: bool = False  # large packets on their way out
    home: str = ""  # the node's folder; "": it has none
    scrub_bytes_per_s: int = 0  # of the own journal, read again in the background; 0: never
    cluster_id: str = ""  # hex; "": not known
    metrics_listen: str = ""  # host:port; "": it serves none


class Closed(Struct, frozen=True):
    """How a runtime left its journal."""

    unclean: str  # why it does not say, durably, that the stop was clean; "" if it does
    over: bool = True  # nothing writes to it any more


class Ending(Struct, frozen=True):
    """Why a runtime ends: asked to, out of restarts, or `crashed` in its core."""

    reason: str
    code: int = 0
    crash: BaseException | None = None
    reopen: bool = False  # the journal is opened anew: this is not the end of the process
    unclean: str = ""  # why the journal does not say that this end was clean
    reload: bool = False  # with `reopen`: nothing is wrong, the next life has other settings
