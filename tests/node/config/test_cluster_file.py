"""cluster.yaml: what it may hold, and one clear line that names the place for what it may not."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.config import GossipConfig
from node.config.cluster_file import (
    DEFAULT_RULES,
    NODES_MAX,
    ClusterConfig,
    ConfigError,
    NodeConfig,
    RestartConfig,
    RuleConfig,
    generated,
    load,
    split_address,
)
from node.config.cluster_mark import FILE_BYTES_MAX


def read(folder: Path, text: str | bytes) -> ClusterConfig:
    file = folder / "cluster.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(file)


def complaint(folder: Path, text: str | bytes) -> str:
    """The one line, without the folder."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    line = str(caught.value)
    assert "\n" not in line
    assert line.isprintable()
    assert line.startswith(f"{folder}/")
    return line.removeprefix(f"{folder}/cluster.yaml:")


# --- what works -----------------------------------------------------------------------------------


def test_names_alone_make_a_cluster_and_all_else_has_a_default(tmp_path: Path) -> None:
    config = read(tmp_path, "nodes: [n1, n2]\n")
    assert config == ClusterConfig([NodeConfig("n1"), NodeConfig("n2")])
    assert config.name == "chatlab"
    assert config.durability == "always"
    assert config.moderation.rules == DEFAULT_RULES
    assert config == msgspec.structs.replace(generated(2), nodes=config.nodes)


def test_every_knob_can_be_turned(tmp_path: Path) -> None:
    text = """
name: play
data_dir: ../state
nodes:
  - n1
  - {name: n2, listen: "127.0.0.1:7102", durability: none}
restart: always
restarts: {budget: 0, window_s: 2}
durability: interval
interval_ms: 250
quiet_ms: 500
gossip: {fanout: 5}
moderation:
  rules: [{id: house, words: house.txt, action: reject}]
  allow: [Scunthorpe]
"""
    config = read(tmp_path, text)
    assert config.nodes[1] == NodeConfig("n2", "127.0.0.1:7102", "none")
    assert config.restarts == RestartConfig(0, 2.0)
    assert config.gossip == GossipConfig(fanout=5)
    assert config.moderation.rules == (RuleConfig("house", "house.txt", "reject"),)
    assert config.moderation.allow == ("Scunthorpe",)
    assert (config.name, config.data_dir, config.restart) == ("play", "../state", "always")
    assert (config.durability, config.interval_ms, config.quiet_ms) == ("interval", 250, 500)


def test_a_byte_order_mark_and_a_date_are_only_text(tmp_path: Path) -> None:
    config = read(tmp_path, b"\xef\xbb\xbfnodes: [n1]\nname: 2026-01-31\n")
    assert config.name == "2026-01-31"


def test_a_node_is_found_by_its_name_or_the_nearest_is_told() -> None:
    config = generated(20)
    assert config.node("n7") == NodeConfig("n7")
    with pytest.raises(ConfigError, match=r"^no node 'nn1': did you mean n1\?$"):
        config.node("nn1")
    with pytest.raises(ConfigError, match=r"^no node 'zebra': its nodes are n1, .*, n11, \.\.\.$"):
        config.node("zebra")


# --- what does not --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("nodes: [n1]\nnodez: 3\n", "2:1: nodez: unknown key: did you mean nodes?"),
        (
            "nodes: [n1]\ngossip: {fanot: 3}",
            "2:10: gossip.fanot: unknown key: did you mean fanout?",
        ),
        ("nodes:\n- {nam: n1}", "2:4: nodes[0].nam: unknown key: did you mean name?"),
        (
            "nodes: [n1]\nrestarts:\n  zzz: 1\n",
            "3:3: restarts.zzz: unknown key: the keys here are budget, window_s",
        ),
        ("nodes: [n1]\n<<: {a: 1}", "2:1: '<<': unknown key: the keys here are nodes, name, "),
    ],
)
def test_an_unknown_key_is_refused_where_it_stands(tmp_path: Path, text: str, line: str) -> None:
    assert complaint(tmp_path, text).startswith(line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("nodes: [n1]\nnodes: [n2]\n", "2:1: 'nodes' is given twice, first in line 1"),
        ("nodes: [n1, n2, n1]\n", "1:17: nodes[2].name: a second node n1"),
        ("nodes:\n- name: n1\n- name: n1\n", "3:9: nodes[1].name: a second node n1"),
        (
            "nodes:\n- {name: n1, listen: 'h:1'}\n- {name: n2, listen: 'H:01'}\n",
            "3:22: nodes[1].listen: H:01 is already the address of n1",
        ),
        (
            "nodes: [{name: n1, listen: '127.0.0.1:5'}]\nmetrics: {listen: '127.0.0.1:5'}\n",
            "2:19: metrics.listen: 127.0.0.1:5, of n1, is already the address of n1",
        ),
        (
            (
                "nodes:\n- {name: n1, metrics: {listen: '127.0.0.1:6'}}\n- n2\n"
                "metrics: {listen: '127.0.0.1:5'}\n"
            ),
            "4:19: metrics.listen: 127.0.0.1:6, of n2, is already the address of n1",
        ),
        (
            "nodes: [n1, n2]\nmetrics: {listen: '127.0.0.1:65535'}\n",
            "2:19: metrics.listen: n2 would get 127.0.0.1:65536: port 65536 is not in 1..65535",
        ),
        (
            "nodes: [{name: n1, metrics: {listen: '192.0.2.1:5'}}]\n",
            (
                "1:38: nodes[0].metrics.listen: everybody who reaches 192.0.2.1:5 could read the "
                "metrics: listen on 127.0.0.1, or write `insecure: true` beside it"
            ),
        ),
        (
            "nodes: [n1]\nmoderation: {rules: [{id: a, words: w}, {id: a, words: v}]}",
            "2:46: moderation.rules[1].id: a second rule a",
        ),
    ],
)
def test_nothing_is_given_twice(tmp_path: Path, text: str, line: str) -> None:
    assert complaint(tmp_path, text) == line


NOT_POSSIBLE = "is not possible here: one of"
NOT_A_NAME = "is not a name: 1 to 32 of a-z, 0-9 and -, not beginning with -"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("nodes: [N1]", f"1:9: nodes[0].name: 'N1' {NOT_A_NAME}"),
        ("nodes: [n1, -x]", f"1:13: nodes[1].name: '-x' {NOT_A_NAME}"),
        ('nodes: ["n1\\n"]', f"1:9: nodes[0].name: 'n1\\n' {NOT_A_NAME}"),
        (f"nodes: [{'a' * 33}]", f"1:9: nodes[0].name: '{'a' * 33}' {NOT_A_NAME}"),
        ("nodes: []", "1:8: nodes: expected a list of length >= 1"),
        ("nodes: 3", "1:8: nodes: expected a list, got a whole number"),
        ("nodes: {n1: {}}", "1:8: nodes: expected a list, got keys and values"),
        ("nodes:", "1:7: nodes: expected a list, got nothing"),
        ("nodes: [7]", "1:9: nodes[0].name: expected text, got a whole number: put it in quotes"),
        ("nodes: [no]", "1:9: nodes[0].name: expected text, got true or false: put it in quotes"),
        ("nodes: [[n1]]", "1:9: nodes[0].name: expected text, got a list"),
        ("name: x", "1:1: nodes is missing"),
        (
            "nodes:\n- name: n1\n  listen: 7101",
            "3:11: nodes[0].listen: expected text, got a whole number: put it in quotes",
        ),
        ("nodes: [n1]\nname: null", "2:7: name: expected text, got nothing"),
        ("nodes: [n1]\ninterval_ms: 0", "2:14: interval_ms: expected a whole number >= 1"),
        ("nodes: [n1]\ninterval_ms: fast", "2:14: interval_ms: expected a whole number, got text"),
        ("nodes: [n1]\nquiet_ms: 1.5", "2:11: quiet_ms: expected a whole number, got a number"),
        ("nodes: [n1]\nquiet_ms: on", "2:11: quiet_ms: expected a whole number, got true or false"),
        ("nodes: [n1]\nquiet_ms: 9999999", "2:11: quiet_ms: expected a whole number <= 3600000"),
        (
            "nodes: [n1]\nrestarts: {budget: -1}",
            "2:20: restarts.budget: expected a whole number >= 0",
        ),
        (
            "nodes: [n1]\nrestarts: {window_s: .nan}",
            "2:22: restarts.window_s: expected a number > 0.0",
        ),
        (
            "nodes: [n1]\nrestarts: {window_s: .inf}",
            "2:22: restarts.window_s: expected a number <= 86400.0",
        ),
        ('nodes: [n1]\ndata_dir: ""', "2:11: data_dir: expected text of length >= 1"),
        (
            "nodes: [n1]\ndurability: nane",
            f"2:13: durability: 'nane' {NOT_POSSIBLE} always, interval, none, did you mean none?",
        ),
        (
            "nodes: [n1]\nrestart: sometimes",
            f"2:10: restart: 'sometimes' {NOT_POSSIBLE} never, always",
        ),
        (
            "nodes: [n1]\nmoderation: {rules: [{id: a b, words: w}]}",
            "2:27: moderation.rules[0].id: 'a b' is not a name: letters, digits, and . _ - inside",
        ),
        (
            "nodes: [n1]\nmoderation: {rules: [{id: a}]}",
            "2:22: moderation.rules[0]: words is missing",
        ),
        (
            "nodes: [n1]\nmoderation: {allow: [1]}",
            "2:22: moderation.allow[0]: expected text, got a whole number: put it in quotes",
        ),
    ],
)
def test_a_wrong_value_is_one_line_in_the_words_of_the_file(
    tmp_path: Path, text: str, line: str
) -> None:
    assert complaint(tmp_path, text) == line


def test_what_is_no_mapping_shows_what_is_wanted(tmp_path: Path) -> None:
    for text in ("", "# nothing\n", "[n1]", "n1"):
        line = complaint(tmp_path, text)
        assert line == " expected keys and values, at least `nodes: [n1, n2]`", text


def test_sizes_have_limits(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(NODES_MAX + 1)]
    line = complaint(tmp_path, f"nodes: [{', '.join(names)}]")
    assert line == f"1:8: nodes: expected a list of length <= {NODES_MAX}"
    assert len(read(tmp_path, f"nodes: [{', '.join(names[1:])}]").nodes) == NODES_MAX
    line = complaint(tmp_path, "nodes: [n1]\n" + "#" * FILE_BYTES_MAX)
    assert line == f" is larger than {FILE_BYTES_MAX} bytes"
    assert len(complaint(tmp_path, f"nodes: [{'x' * 100_000}]")) < 200


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, why in (
        (tmp_path, "is not a file"),
        (tmp_path / "gone", "cannot read it: No such file or directory"),
        (tmp_path / "file" / "below", "cannot read it: Not a directory"),
        (Path("a\0b"), "cannot read it: embedded null byte"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert str(caught.value) == f"{path}: {why}"


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert "\n" not in str(caught.value)


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "pair"),
    [
        ("127.0.0.1:7101", ("127.0.0.1", 7101)),
        ("LocalHost:1", ("localhost", 1)),
        ("[::1]:65535", ("::1", 65535)),
        ("node-1.lab.example:00080", ("node-1.lab.example", 80)),
    ],
)
def test_an_address_is_a_host_and_a_port(address: str, pair: tuple[str, int]) -> None:
    assert split_address(address) == pair


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("nowhere", "is not host:port"),
        (":7101", "is not host:port"),
        ("h:", "is not host:port"),
        ("h:٣", "is not host:port"),
        ("h:123456", "is not host:port"),
        ("::1:7101", "is not host:port"),
        ("h h:1", "is not host:port"),
        ("h:1\n", "is not host:port"),
        ("*:7101", "is not host:port"),
        ("h:0", "port 0 is not in 1..65535"),
        ("h:65536", "port 65536 is not in 1..65535"),
        ("0.0.0.0:7101", "is every address: name the one that peers dial"),
        ("[::]:7101", "is every address: name the one that peers dial"),
    ],
)
def test_what_is_no_address_says_why(tmp_path: Path, address: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        split_address(address)
    quoted = msgspec.json.encode(address).decode()
    assert complaint(tmp_path, f"nodes: [{{name: n1, listen: {quoted}}}]").startswith(
        "1:28: nodes[0].listen: "
    )


def test_metrics_count_up_from_the_port_of_the_cluster_unless_a_node_has_its_own(
    tmp_path: Path,
) -> None:
    config = read(
        tmp_path,
        "nodes:\n- n1\n- {name: n2, metrics: {listen: '192.0.2.1:7', insecure: true}}\n- n3\n"
        "metrics: {listen: 127.0.0.1:9464}\n",
    )
    addresses = [config.metrics_address(name) for name in ("n1", "n2", "n3", "n9")]
    assert addresses == ["127.0.0.1:9464", "192.0.2.1:7", "127.0.0.1:9466", ""]
    config = read(tmp_path, "nodes: [n1, {name: n2, metrics: {listen: '[::1]:7'}}]\n")
    assert [config.metrics_address(name) for name in ("n1", "n2")] == ["", "[::1]:7"]
