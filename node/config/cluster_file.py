"""cluster.yaml: what a cluster is made of, read with limits and errors that name the place.

The classes below are the whole schema: msgspec checks a file against them. Unknown keys are
refused, because a misspelt knob that is silently ignored is worse than none. An error is one line:

    cluster.yaml:5:11: nodes[1].listen: expected str, got int: put it in quotes

A `policy_of` is separate from `load`, so that a command that needs no moderation reads no words.
"""

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from domain.dot import ORIGIN_FORM
from gossip.config import GossipConfig
from node.config.error_messages import explained, hint_of, shown, wrong
from node.config.yaml_positions import Located, LocatedError, Path_, Value, parse, read_text

if TYPE_CHECKING:
    from domain.moderation import Policy

NODES_MAX = 256
RULES_MAX = 64
WORDS_MAX = 100_000
BUILTIN = "builtin:"
NAMES = ("Twatt",)  # in Orkney and in Shetland; the English list has it with one t
BUILTIN_DIR = Path(__file__).parent / "word_lists"

Name = Annotated[str, Meta(pattern=rf"^{ORIGIN_FORM}\Z")]
RuleId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
ClusterId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
Durability = Literal["always", "interval", "none"]


class ConfigError(ValueError):
    """A configuration cannot be used. The text is one clear line."""


class DoorConfig(Struct, frozen=True, forbid_unknown_fields=True):
    listen: str  # host:port, for those who have a key


class MetricsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    listen: str  # host:port; of the whole cluster: of its first node, the others count up from it
    insecure: bool = False  # beyond this machine too, where whoever reaches it reads the metrics


class NodeConfig(Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    listen: str | None = None  # host:port; None: a free loopback port, remembered
    durability: Durability | None = None  # None: the cluster's
    control: DoorConfig | None = None  # besides its socket in the state folder: for client keys
    feed: DoorConfig | None = None  # the same, for observer keys
    metrics: MetricsConfig | None = None  # None: as the cluster says

    @property
    def addresses(self) -> list[tuple[Path_, str]]:
        """Every address that it listens on, and under which key that is said."""
        addresses: list[tuple[Path_, str]] = (
            [] if self.listen is None else [(("listen",), self.listen)]
        )
        if self.control is not None:
            addresses.append((("control", "listen"), self.control.listen))
        if self.feed is not None:
            addresses.append((("feed", "listen"), self.feed.listen))
        return addresses


class RuleConfig(Struct, frozen=True, forbid_unknown_fields=True):
    id: RuleId
    words: Annotated[str, Meta(min_length=1, max_length=4096)]  # builtin:NAME, or a path
    action: Literal["reject", "censor"] = "censor"


DEFAULT_RULES = (
    RuleConfig("english", f"{BUILTIN}en"),
    RuleConfig("french", f"{BUILTIN}fr"),
)


class ModerationConfig(Struct, frozen=True, forbid_unknown_fields=True):
    rules: Annotated[tuple[RuleConfig, ...], Meta(max_length=RULES_MAX)] = DEFAULT_RULES
    allow: Annotated[tuple[str, ...], Meta(max_length=WORDS_MAX)] = ()


class RestartConfig(Struct, frozen=True, forbid_unknown_fields=True):
    budget: Annotated[int, Meta(ge=0, le=1000)] = 5
    window_s: Annotated[float, Meta(gt=0, le=86_400)] = 60


class ClusterConfig(Struct, frozen=True, forbid_unknown_fields=True):
    nodes: Annotated[list[NodeConfig], Meta(min_length=1, max_length=NODES_MAX)]
    name: Name = "chatlab"
    data_dir: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    restart: Literal["never", "always"] = "never"
    restarts: RestartConfig = RestartConfig()
    durability: Durability = "always"
    recovery: Literal["strict", "tail", "salvage"] = "tail"
    interval_ms: Annotated[int, Meta(ge=1, le=60_000)] = 100
    quiet_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 2000
    encrypt: bool = False  # only keys that are trusted come in over TCP
    insecure: bool = False  # do without keys, although others can reach the nodes
    keys_dir: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    gossip: GossipConfig = GossipConfig()
    moderation: ModerationConfig = field(default_factory=ModerationConfig)
    compress: bool = False  # large packets on the wire, for processor time
    trace: bool = False
    scrub_bytes_per_s: Annotated[int, Meta(ge=0, le=1 << 30)] = 256 * 1024  # 0: never
    id: ClusterId | None = (
        None  # None: random, made by the first `cluster up`, see node.config.ownership
    )
    metrics: MetricsConfig | None = None  # None: only nodes that say so themselves serve any

    def node(self, name: str) -> NodeConfig:
        """The node of that name; raises ConfigError with the nearest name otherwise."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = [node.name for node in self.nodes]
        raise ConfigError(f"no node {shown(name)}: {hint_of(name, names, 'its nodes are')}")

    def metrics_address(self, name: str) -> str:
        """Where a node serves its metrics, host:port; "" if it serves none."""
        for i, node in enumerate(self.nodes):
            if node.name == name:
                own = node.metrics
                if own is not None or self.metrics is None:
                    return own.listen if own is not None else ""
                host, _, port = self.metrics.listen.rpartition(":")
                return f"{host}:{int(port) + i}"
        return ""


def generated(n: int, name: str = "chatlab") -> ClusterConfig:
    """A cluster of n nodes n1..n, all else as by default."""
    return ClusterConfig([NodeConfig(f"n{number}") for number in range(1, n + 1)], name)


# --- reading ----------------------------------------------------------------------------------


def load(path: Path) -> ClusterConfig:
    """Read a cluster file. Raises ConfigError, whatever the file is."""
    try:
        text = read_text(path)
    except LocatedError as error:
        raise _at(path, error) from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{path}: cannot read it: {why}") from None
    try:
        document = parse(text)
        config = _convert(document)
        _check_nodes(config, document)
        _check_rules(config, document)
    except LocatedError as error:
        raise _at(path, error) from None
    return config


def _at(path: Path, error: LocatedError) -> ConfigError:
    where = f"{path}:{error.place.line}:{error.place.column}" if error.place else f"{path}"
    return ConfigError(f"{where}: {error}")


def _convert(document: Located) -> ClusterConfig:
    value = document.value
    if not isinstance(value, dict):
        raise LocatedError("expected keys and values, at least `nodes: [n1, n2]`")
    nodes = value.get("nodes")
    if isinstance(nodes, list):  # a plain name stands for a mapping with nothing else
        named: list[Value] = [item if isinstance(item, dict) else {"name": item} for item in nodes]
        value = {**value, "nodes": named}
    try:
        return msgspec.convert(value, ClusterConfig)
    except msgspec.ValidationError as error:
        raise explained(str(error), document, ClusterConfig) from None


def _check_nodes(config: ClusterConfig, document: Located) -> None:
    names: set[str] = set()
    addresses: dict[tuple[str, int], str] = {}
    for i, node in enumerate(config.nodes):
        if node.name in names:
            raise wrong(document, ("nodes", i, "name"), f"a second node {node.name}")
        names.add(node.name)
        for key, listen in node.addresses:
            path: Path_ = ("nodes", i, *key)
            if key != ("listen",) and not config.encrypt:
                raise wrong(document, path, "is for those who have a key: set `encrypt: true`")
            try:
                address = split_address(listen)
                if key != ("listen",):  # ZeroMQ binds numbers only
                    ipaddress.ip_address(address[0])
            except ValueError as error:
                raise wrong(document, path, str(error)) from None
            if address in addresses:
                what = f"{listen} is already the address of {addresses[address]}"
                raise wrong(document, path, what)
            addresses[address] = node.name
    _check_metrics(config, document, addresses)
    if config.encrypt and config.insecure:
        raise wrong(document, ("insecure",), "is for doing without keys, `encrypt: true` for keys")


def _check_metrics(
    config: ClusterConfig, document: Located, addresses: dict[tuple[str, int], str]
) -> None:
    """Every node has an address of its own, and others reach it only where that is asked for."""
    for path, metrics in _metrics_in(config):
        try:
            host, _ = split_address(metrics.listen)
            ipaddress.ip_address(host)  # the address is bound, and never dialled by its name
        except ValueError as error:
            raise wrong(document, (*path, "listen"), str(error)) from None
        if not metrics.insecure and not is_loopback(metrics.listen):
            what = (
                f"everybody who reaches {metrics.listen} could read the metrics: listen on "
                "127.0.0.1, or write `insecure: true` beside it"
            )
            raise wrong(document, (*path, "listen"), what)
    for i, node in enumerate(config.nodes):
        listen = config.metrics_address(node.name)
        if not listen:
            continue
        path = ("nodes", i, "metrics", "listen") if node.metrics else ("metrics", "listen")
        try:
            address = split_address(listen)
        except ValueError as error:
            raise wrong(document, path, f"{node.name} would get {listen}: {error}") from None
        if address in addresses:
            what = f"{listen}, of {node.name}, is already the address of {addresses[address]}"
            raise wrong(document, path, what)
        addresses[address] = node.name


def _metrics_in(config: ClusterConfig) -> list[tuple[Path_, MetricsConfig]]:
    """All that the file says of metrics, and where."""
    said: list[tuple[Path_, MetricsConfig | None]] = [(("metrics",), config.metrics)]
    said += [(("nodes", i, "metrics"), node.metrics) for i, node in enumerate(config.nodes)]
    return [(path, metrics) for path, metrics in said if metrics is not None]


def _check_rules(config: ClusterConfig, document: Located) -> None:
    ids: set[str] = set()
    for i, rule in enumerate(config.moderation.rules):
        if rule.id in ids:
            raise wrong(document, ("moderation", "rules", i, "id"), f"a second rule {rule.id}")
        ids.add(rule.id)


def split_address(address: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` as a pair that is equal for equal addresses; or ValueError."""
    host, _, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]").lower()
    form = re.fullmatch(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]{0,252})", host)
    if form is None or re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) is None:
        raise ValueError(f"{shown(address)} is not host:port, for example 127.0.0.1:7101")
    if not 1 <= int(port) <= 65_535:
        raise ValueError(f"port {port} is not in 1..65535")
    if bare in ("0.0.0.0", "::"):  # noqa: S104  (it is refused)
        raise ValueError(f"{shown(address)} is every address: name the one that peers dial")
    return bare, int(port)


def is_loopback(address: str) -> bool:
    """Nobody outside of this machine reaches it. A host name may mean anything, so it is not."""
    host, _ = split_address(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# --- moderation -------------------------------------------------------------------------------


def policy_of(config: ClusterConfig, base_dir: Path) -> "Policy":
    """The moderation policy, with the words of its files, which are relative to `base_dir`.

    Raises ConfigError with one line.
    """
    from domain.moderation import Policy, Rule  # lazy: only a node and `moderate` need words

    rules = []
    for i, rule in enumerate(config.moderation.rules):
        try:
            words = _read_words(_words_file(rule.words, base_dir))
        except ConfigError as error:
            raise ConfigError(f"moderation.rules[{i}].words: {error}") from None
        rules.append(Rule(rule.id, words, rule.action))
    known = any(rule.words == f"{BUILTIN}en" for rule in config.moderation.rules)
    return Policy(tuple(rules), (*config.moderation.allow, *(NAMES if known else ())))


def _words_file(words: str, base_dir: Path) -> Path:
    if not words.startswith(BUILTIN):
        return base_dir / words
    name = words.removeprefix(BUILTIN)
    known = sorted(file.stem for file in BUILTIN_DIR.glob("*.txt"))
    if name not in known:
        hint = hint_of(name, known, "there are")
        raise ConfigError(f"no built-in word list {shown(name)}: {hint}")
    return BUILTIN_DIR / f"{name}.txt"


def words_in(text: str) -> tuple[str, ...]:
    """The entries of a list, each once. A # at the start of a line or behind a space begins a
    comment.
    """
    lines = (re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip() for line in text.splitlines())
    return tuple(dict.fromkeys(filter(None, lines)))


def _read_words(file: Path) -> tuple[str, ...]:
    """A word or phrase per line, each once; # begins a comment."""
    try:
        text = read_text(file)
    except LocatedError as error:
        raise _at(file, error) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"cannot read {file}: {why}") from None
    words = words_in(text)
    if not words:
        raise ConfigError(f"{file} holds no words: one word or phrase per line")
    if len(words) > WORDS_MAX:
        raise ConfigError(f"{file} holds {len(words)} words: {WORDS_MAX} are the limit")
    return words
