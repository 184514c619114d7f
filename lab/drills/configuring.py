"""Drill of `node.config`: reading cluster.yaml, its error messages, paths, and word files.

A plain writer turns a random tree of settings into YAML, in one of several styles, and remembers
the line and column of each key and value. The file must load as the settings that the tree means.
Then one setting is made invalid, or the text is broken, and the single error line must name the
place, the key and the reason. Left out: a cluster that runs with the file.
"""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec

from domain.moderation import Policy
from gossip.config import GossipConfig
from lab.drills.beside import holds, same, scratch
from node.config.cluster_file import (
    ClusterConfig,
    ConfigError,
    DoorConfig,
    MetricsConfig,
    ModerationConfig,
    NodeConfig,
    RestartConfig,
    RuleConfig,
    generated,
    is_loopback,
    load,
    policy_of,
    split_address,
    words_in,
)
from node.config.error_messages import NAME_FORM
from node.config.paths import STATE_DIR, AddressBook, ClusterPaths

Tree = dict[str, object]
Where = tuple[object, ...]
WORDS = ("en", "fr")


class Writer:
    """Writes a tree as YAML in block style, and keeps the place of each key and value."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.lines: list[str] = []
        self.values: dict[Where, tuple[int, int]] = {}
        self.keys: dict[Where, tuple[int, int]] = {}
        self.step = rng.choice((2, 2, 4))

    def write(self, tree: Tree) -> str:
        if self.rng.random() < 0.3:
            self.lines.append("# é")
        self._mapping(tree, (), 0, "")
        return "\n".join([*self.lines, ""])

    def _mapping(self, tree: Tree, path: Where, indent: int, lead: str) -> None:
        """`lead`: what stands before the first key, of the same width as the indent."""
        self.values[path] = len(self.lines) + 1, indent + 1
        for key, value in tree.items():
            start = lead or " " * indent
            lead = ""
            here = (*path, key)
            self.keys[here] = len(self.lines) + 1, indent + 1
            self._value(value, here, indent, f"{start}{key}:")

    def _value(self, value: object, path: Where, indent: int, before: str) -> None:
        if isinstance(value, dict) and value:
            self.lines.append(before)
            self._mapping(value, path, indent + self.step, "")
        elif isinstance(value, list) and value:
            self.lines.append(before)
            inner = indent + self.step
            self.values[path] = len(self.lines) + 1, inner + 1
            for at, one in enumerate(value):
                dash = " " * inner + "- "
                if isinstance(one, dict) and one:
                    self._mapping(one, (*path, at), inner + 2, dash)
                else:
                    self._scalar(one, (*path, at), dash)
        else:
            self._scalar(value, path, f"{before} ")

    def _scalar(self, value: object, path: Where, before: str) -> None:
        self.values[path] = len(self.lines) + 1, len(before) + 1
        text = Bare.of(value)
        if isinstance(value, str) and not isinstance(value, Bare):
            plain = value.isalnum() and value.isascii() and not value.isdigit()
            if not plain or self.rng.random() < 0.3:
                text = msgspec.json.encode(value).decode()
        comment = "  # so" if self.rng.random() < 0.1 else ""
        self.lines.append(f"{before}{text}{comment}")


class Bare(str):
    """A value that is written to the file without quotes."""

    __slots__ = ()

    @staticmethod
    def of(value: object) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        return {"None": "null", "{}": "{}", "[]": "[]"}.get(str(value), str(value))


# --- what is meant --------------------------------------------------------------------------------


def _tree(rng: Random) -> Tree:
    nodes: list[object] = []
    for at in range(rng.randint(1, 4)):
        node: Tree = {"name": f"n{at}"}
        if rng.random() < 0.5:
            node["listen"] = rng.choice((f"127.0.0.1:71{at}0", f"[::1]:71{at}0", f"h{at}.x:1"))
        if rng.random() < 0.3:
            node["durability"] = rng.choice(("always", "interval", "none"))
        if rng.random() < 0.2:
            node["metrics"] = {"listen": f"10.0.0.{at}:9464", "insecure": True}
        nodes.append(f"n{at}" if len(node) == 1 and rng.random() < 0.5 else node)
    tree: Tree = {"nodes": nodes}
    some: Tree = {
        "name": "play", "data_dir": "state", "restart": "always", "durability": "interval",
        "restarts": {"budget": rng.randint(0, 9), "window_s": rng.choice((1.5, 60))},
        "recovery": "strict", "interval_ms": rng.randint(1, 99), "quiet_ms": rng.randint(1, 9999),
        "insecure": True, "keys_dir": "keys", "compress": True, "trace": True,
        "gossip": {"round_ms": rng.randint(50, 90), "fanout": rng.randint(1, 9)},
        "scrub_bytes_per_s": 0, "id": f"{rng.getrandbits(64):016x}a"[:15] + "a",
        "moderation": {"rules": [{"id": "r1", "words": "builtin:en", "action": "reject"},
                                 {"id": "r2", "words": "w.txt"}], "allow": ["one", "é two"]},
        "metrics": {"listen": "127.0.0.1:9464"},
    }  # fmt: skip
    for key in rng.sample(sorted(some), rng.randint(0, len(some))):
        tree[key] = some[key]
    if "insecure" not in tree and rng.random() < 0.3:
        tree["encrypt"] = True
        nodes.append({"name": "d1", "control": {"listen": "127.0.0.1:8001"},
                      "feed": {"listen": "127.0.0.1:8002"}})  # fmt: skip
    return tree


def _meant(tree: Tree) -> ClusterConfig:
    given = dict(tree)
    nodes = []
    for one in _list(given.pop("nodes")):
        node: Tree = one if isinstance(one, dict) else {"name": one}
        doors = {key: DoorConfig(**node[key]) for key in ("control", "feed") if key in node}  # type: ignore[arg-type]
        own = {"metrics": MetricsConfig(**node["metrics"])} if "metrics" in node else {}  # type: ignore[arg-type]
        nodes.append(NodeConfig(**(node | doors | own)))  # type: ignore[arg-type]
    if "metrics" in given:
        given["metrics"] = MetricsConfig(**given["metrics"])  # type: ignore[arg-type]
    if "restarts" in given:
        given["restarts"] = RestartConfig(**given["restarts"])  # type: ignore[arg-type]
    if "gossip" in given:
        given["gossip"] = GossipConfig(**given["gossip"])  # type: ignore[arg-type]
    if "moderation" in given:
        part = given["moderation"]
        assert isinstance(part, dict)
        rules = tuple([RuleConfig(**one) for one in part["rules"]])
        given["moderation"] = ModerationConfig(rules, tuple(part["allow"]))
    return ClusterConfig(nodes, **given)  # type: ignore[arg-type]


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


# --- what is wrong --------------------------------------------------------------------------------

Wrong = tuple[Where, bool, str]  # the path, whether its key is meant, and the words
Harm = Callable[[Random, Tree], Wrong]


def _set(tree: Tree, key: str, value: object, words: str) -> Wrong:
    tree[key] = value
    return (key,), False, f"{key}: {words}"


def _unknown_key(rng: Random, tree: Tree) -> Wrong:
    wrong, right = rng.choice((("durabilty", "durability"), ("quiet_m", "quiet_ms"),
                               ("gosip", "gossip"), ("recovry", "recovery")))  # fmt: skip
    tree[wrong] = 1
    return (wrong,), True, f"{wrong}: unknown key: did you mean {right}?"


def _unknown_inside(_: Random, tree: Tree) -> Wrong:
    tree["restarts"] = {"budget": 1, "qqq": 2}
    words = "restarts.qqq: unknown key: the keys here are budget, window_s"
    return ("restarts", "qqq"), True, words


def _number(rng: Random, tree: Tree) -> Wrong:
    value, words = rng.choice((("abc", "expected a whole number, got text"),
                               (0, "expected a whole number >= 1"),
                               (3_600_001, "expected a whole number <= 3600000"),
                               (True, "expected a whole number, got true or false"),
                               (Bare("null"), "expected a whole number, got nothing")))  # fmt: skip
    return _set(tree, "quiet_ms", value, words)


def _text(_: Random, tree: Tree) -> Wrong:
    return _set(tree, "data_dir", 7, "expected text, got a whole number: put it in quotes")


def _flag(rng: Random, tree: Tree) -> Wrong:
    value, what = rng.choice(((3, "a whole number"), (1.5, "a number"), ("on it", "text")))
    return _set(tree, "trace", value, f"expected true or false, got {what}")


def _keys(rng: Random, tree: Tree) -> Wrong:
    value, what = rng.choice(((["a"], "a list"), (5, "a whole number")))
    return _set(tree, "gossip", value, f"expected keys and values, got {what}")


def _choice(_: Random, tree: Tree) -> Wrong:
    words = "'alwys' is not possible here: one of always, interval, none, did you mean always?"
    return _set(tree, "durability", "alwys", words)


def _id(_: Random, tree: Tree) -> Wrong:
    return _set(tree, "id", "xyz", "'xyz' is not an id: 16 of 0-9 and a-f")


def _node_name(rng: Random, tree: Tree) -> Wrong:
    nodes = _list(tree["nodes"])
    bad = rng.choice(("N1", "-n", "n" * 33, "n_1"))
    plain = rng.random() < 0.5
    nodes.append(bad if plain else {"name": bad})
    at = len(nodes) - 1
    path: Where = ("nodes", at) if plain else ("nodes", at, "name")
    return path, False, f"nodes[{at}].name: '{bad}' is not a name: {NAME_FORM}"


def _node_twice(_: Random, tree: Tree) -> Wrong:
    nodes = _list(tree["nodes"])
    nodes.append({"name": "n0"})
    at = len(nodes) - 1
    return ("nodes", at, "name"), False, f"nodes[{at}].name: a second node n0"


def _address(rng: Random, tree: Tree) -> Wrong:
    bad, words = rng.choice((
        ("127.0.0.1", "'127.0.0.1' is not host:port, for example 127.0.0.1:7101"),
        ("h:0", "port 0 is not in 1..65535"), ("h:65536", "port 65536 is not in 1..65535"),
        ("0.0.0.0:5", "'0.0.0.0:5' is every address: name the one that peers dial"),
        ("[::]:5", "'[::]:5' is every address: name the one that peers dial"),
    ))  # fmt: skip
    nodes = _list(tree["nodes"])
    nodes.append({"name": "bad", "listen": bad})
    at = len(nodes) - 1
    return ("nodes", at, "listen"), False, f"nodes[{at}].listen: {words}"


def _address_twice(_: Random, tree: Tree) -> Wrong:
    nodes = _list(tree["nodes"])
    nodes += [{"name": "x1", "listen": "hh:5"}, {"name": "x2", "listen": "HH:05"}]
    at = len(nodes) - 1
    words = f"nodes[{at}].listen: HH:05 is already the address of x1"
    return ("nodes", at, "listen"), False, words


def _door(rng: Random, tree: Tree) -> Wrong:
    key = rng.choice(("control", "feed"))
    nodes = _list(tree["nodes"])
    at = len(nodes)
    if rng.random() < 0.5:
        tree.pop("insecure", None)
        tree["encrypt"] = True
        nodes.append({"name": "bad", key: {"listen": "host:5"}})
        words = "'host' does not appear to be an IPv4 or IPv6 address"
    else:
        tree.pop("encrypt", None)
        nodes[:] = [one for one in nodes if not (isinstance(one, dict) and "control" in one)]
        at = len(nodes)
        nodes.append({"name": "bad", key: {"listen": "1.2.3.4:5"}})
        words = "is for those who have a key: set `encrypt: true`"
    return ("nodes", at, key, "listen"), False, f"nodes[{at}].{key}.listen: {words}"


def _metrics(rng: Random, tree: Tree) -> Wrong:
    listen, words = rng.choice((
        ("10.0.0.9:5", ("everybody who reaches 10.0.0.9:5 could read the metrics: listen on "
                       "127.0.0.1, or write `insecure: true` beside it")),
        ("host:5", "'host' does not appear to be an IPv4 or IPv6 address"),
        ("127.0.0.1:0", "port 0 is not in 1..65535"),
        ("127.0.0.1:65535", "n0 would get"),
    ))  # fmt: skip
    nodes = _list(tree["nodes"])
    if "n0" in words:  # the second node has no port left
        nodes[:] = ["a0", "n0"]
        words = "n0 would get 127.0.0.1:65536: port 65536 is not in 1..65535"
    tree["metrics"] = {"listen": listen}
    return ("metrics", "listen"), False, f"metrics.listen: {words}"


def _both(_: Random, tree: Tree) -> Wrong:
    tree["encrypt"] = tree["insecure"] = True
    words = "insecure: is for doing without keys, `encrypt: true` for keys"
    return ("insecure",), False, words


def _rule_twice(_: Random, tree: Tree) -> Wrong:
    tree["moderation"] = {"rules": [{"id": "r", "words": "a"}, {"id": "r", "words": "b"}]}
    return ("moderation", "rules", 1, "id"), False, "moderation.rules[1].id: a second rule r"


def _missing(_: Random, tree: Tree) -> Wrong:
    tree["moderation"] = {"rules": [{"id": "r"}]}
    return ("moderation", "rules", 0), False, "moderation.rules[0]: words is missing"


def _odd_number(rng: Random, tree: Tree) -> Wrong:
    text = rng.choice(("0x10", "010", "1_000", "1:30"))
    tree["quiet_ms"] = Bare(text)
    words = f"{text} is no plain number: YAML 1.1 reads it in base 2, 8, 16 or 60"
    return ("quiet_ms",), False, words + "; write all of its digits, or quotes"


def _tag(rng: Random, tree: Tree) -> Wrong:
    tree["name"] = Bare(rng.choice(("!!binary aGk=", "!x hi", "!!set {}")))
    return ("name",), False, "tags are not supported"


HARMS: tuple[Harm, ...] = (
    _unknown_key, _unknown_inside, _number, _text, _flag, _keys, _choice, _id, _node_name,
    _node_twice, _address, _address_twice, _door, _metrics, _both, _rule_twice, _missing,
    _odd_number, _tag,
)  # fmt: skip


# --- files that are not valid YAML ----------------------------------------------------------------


def _broken(rng: Random, text: str, lines: int) -> tuple[bytes, str]:
    """Broken text, and the error after its place; "" if only the place is compared."""
    last = lines + 1
    match rng.randrange(9):
        case 0:
            return f"{text}name: a\nname: b\n".encode(), "is given twice, first in line"
        case 1:
            return f"{text}zz: &a 1\nyy: *a\n".encode(), f":{last + 1}:5: aliases are not supported"
        case 2:
            return f"{text}zz: é".encode() + b"\xff\n", f":{last}:6: byte 0xff is not UTF-8"
        case 3:
            deep = "[" * 21 + "]" * 21
            return f"{text}zz: {deep}\n".encode(), f":{last}:24: nested deeper than 20 levels"
        case 4:
            return f"{text}[a]: 1\n".encode(), f":{last}:1: a key must be a plain word"
        case 5:
            return f"{text}zz:\u00a0 x: y\n".encode(), f":{last}:4: there is a no-break space"
        case 6:
            return f"{text}zz: a\x07\n".encode(), f":{last}:6: character U+0007 is not allowed"
        case 7:
            return f'{text}zz: "a\n'.encode(), ""
    return b"- a\n- b\n", "expected keys and values, at least `nodes: [n1, n2]`"


def configuring(rng: Random) -> None:
    with scratch() as folder:
        file = folder / "c.yaml"
        for _ in range(3):
            _file(rng, file)
        _small(rng)
        _paths(rng, folder)
        _words(rng, folder)


def _file(rng: Random, file: Path) -> None:
    tree, writer = _tree(rng), Writer(rng)
    text = writer.write(tree)
    file.write_bytes(rng.choice((b"", b"\xef\xbb\xbf")) + text.encode())
    config = load(file)
    same("read", config, _meant(tree))
    for node in config.nodes:
        same("node", config.node(node.name), node)
        known = [node.listen] if node.listen else []
        doors = [door.listen for door in (node.control, node.feed) if door]
        same("addresses", [address for _, address in node.addresses], [*known, *doors])
    told = _complaint(lambda: config.node("n00"))
    names = [node.name for node in config.nodes]
    holds(f"a near name: {told}", told.startswith("no node 'n00': did you mean n0?"))
    told = _complaint(lambda: config.node("qqqqq"))
    same("all names", told, f"no node 'qqqqq': its nodes are {', '.join(names)}")
    harm = rng.choice(HARMS)
    path, key, words = harm(rng, tree)
    writer = Writer(rng)
    file.write_text(writer.write(tree), "utf-8")
    line, column = (writer.keys if key else writer.values)[path]
    told = _complaint(lambda: load(file))
    same("said", told, f"{file}:{line}:{column}: {words}")
    data, words = _broken(rng, text, text.count("\n"))
    file.write_bytes(data)
    told = _complaint(lambda: load(file))
    holds(f"{words!r} is said: {told!r:.90}", words in told and told.startswith(f"{file}:"))


def _complaint(call: Callable[[], object]) -> str:
    try:
        call()
    except ConfigError as error:
        holds("one line", "\n" not in str(error))
        return str(error)
    holds("it is refused", truth=False)
    return ""


def _small(rng: Random) -> None:
    port = rng.choice((1, 80, 65_535))
    for host, bare, near in (("127.0.0.1", "127.0.0.1", True), ("[::1]", "::1", True),
                             ("LocalHost", "localhost", True), ("10.1.2.3", "10.1.2.3", False),
                             ("a.b-c.d", "a.b-c.d", False)):  # fmt: skip
        same("address", split_address(f"{host}:{port}"), (bare, port))
        same("loopback", is_loopback(f"{host}:{port}"), near)
    count = rng.randint(1, 5)
    config = generated(count, "play")
    same("generated", [node.name for node in config.nodes], [f"n{at + 1}" for at in range(count)])
    same("its name", (config.name, generated(1).name), ("play", "chatlab"))


def _paths(rng: Random, base: Path) -> None:
    home = rng.choice((None, "st", str(base / "far" / ".." / "st")))
    deep = base / ("d" * 50 if rng.random() < 0.5 else "d")
    config = ClusterConfig([NodeConfig("n1")], "play", data_dir=home)
    paths = ClusterPaths(deep, config)
    root = Path(os.path.normpath(deep / (home or STATE_DIR) / "play"))
    same("root", (paths.root, paths.keys), (root, root.with_name("play.keys")))
    same("files", (paths.address_book, paths.launcher_pid),
         (root / "nodes.json", root / "launcher.pid"))  # fmt: skip
    node, folder = paths.node("n1"), root / "n1"
    same("of a node", (node.dir, node.journal_dir, node.log_file, node.stderr_file, node.pid_file),
         (folder, folder / "journal", folder / "node.jsonl", folder / "stderr.txt",
          folder / "node.pid"))  # fmt: skip
    same("its note", node.journal_id, root / "n1.journal")
    real = Path(os.path.realpath(root))
    fits = len(os.fsencode(real / ("n" * 32) / "control")) <= 107
    same("sockets are near", node.control.parent == real / "n1", fits)
    same("together", (node.feed.parent, node.control.name, node.feed.name),
         (node.control.parent, "control", "feed"))  # fmt: skip
    holds("short enough", len(os.fsencode(node.control)) <= 107)
    same("again", ClusterPaths(deep, config).node("n1"), node)
    book = AddressBook(base / "books" / "nodes.json")
    same("no book", book.load(), {})
    addresses = {f"n{at}": f"tcp://h:{at}" for at in range(rng.randint(0, 3))}
    book.save(addresses)
    same("book", book.load(), addresses)
    same("mode", book.path.stat().st_mode & 0o777, 0o600)
    same("nothing beside", os.listdir(book.path.parent), ["nodes.json"])
    book.path.write_bytes(rng.choice((b"", b"[1]", b'{"n1": 5}', b"\xff")))
    told = _complaint(book.load)
    holds("no book", told.startswith(f"{book.path}: is not an address book ("))


def _words(rng: Random, base: Path) -> None:
    words = [rng.choice(("one", "two words", "c#", "é")) for _ in range(rng.randint(1, 6))]
    lines = [rng.choice((word, f"  {word} ", f"{word} # why", f"{word}\t#why")) for word in words]
    lines.insert(rng.randint(0, len(lines)), rng.choice(("", "# none", "   ")))
    unique = tuple(dict.fromkeys(words))
    same("words", words_in("\n".join(lines)), unique)
    (base / "w.txt").write_text("\n".join(lines), "utf-8")
    rules = (RuleConfig("mine", "w.txt", "reject"),)
    config = ClusterConfig([NodeConfig("n1")], moderation=ModerationConfig(rules, ("fine",)))
    policy = policy_of(config, base)
    assert type(policy) is Policy
    told = [(rule.id, rule.words, rule.action) for rule in policy.rules]
    same("policy", (told, policy.allow), ([("mine", unique, "reject")], ("fine",)))
    gone = f"cannot read {base / 'gone.txt'}: No such file"
    english = "no built-in word list 'eng': did you mean en?"
    for words_of, reason in (("builtin:eng", english), ("gone.txt", gone)):
        bad = (RuleConfig("good", "w.txt"), RuleConfig("bad", words_of))
        wrong = ClusterConfig([NodeConfig("n1")], moderation=ModerationConfig(bad))
        text = _complaint(lambda wrong=wrong: policy_of(wrong, base))  # type: ignore[misc]
        holds(f"{reason}: {text}", text.startswith(f"moderation.rules[1].words: {reason}"))
