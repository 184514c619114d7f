"""What cluster.yaml may say about doors, and which clusters do not start without keys."""

from pathlib import Path

import pytest

from node.config.cluster_file import ClusterConfig, ConfigError, is_loopback, load
from node.config.paths import ClusterPaths
from node.security.keyring import check_doors


def config_of(folder: Path, text: str) -> ClusterConfig:
    file = folder / "cluster.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file)


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("127.0.0.1:7101", True),
        ("127.9.9.9:7101", True),
        ("[::1]:7101", True),
        ("localhost:7101", True),
        ("10.0.0.2:7101", False),
        ("[2001:db8::2]:7101", False),
        ("localhost.example.org:7101", False),
        ("n2:7101", False),
    ],
)
def test_a_cluster_that_others_can_reach_needs_keys_or_says_that_it_does_not(
    tmp_path: Path, address: str, inside: bool
) -> None:
    assert is_loopback(address) == inside
    nodes = f'nodes: [n1, {{name: n2, listen: "{address}"}}]\n'
    config = config_of(tmp_path, nodes)
    if inside:
        check_doors(config)
    else:
        with pytest.raises(ConfigError, match=r"n2 listens on .*`encrypt: true`.*`insecure: true`"):
            check_doors(config)
    check_doors(config_of(tmp_path, nodes + "insecure: true\n"))
    check_doors(config_of(tmp_path, nodes + "encrypt: true\n"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("encrypt: true\ninsecure: true", "3:11: insecure: is for doing without keys"),
        ("encrypt: perhaps", "encrypt: expected true or false"),
        ("encrypted: true", "unknown key: did you mean encrypt"),
    ],
)
def test_contradictions_and_typos_are_refused_with_their_place(
    tmp_path: Path, text: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        config_of(tmp_path, f"nodes: [n1]\n{text}\n")


@pytest.mark.parametrize(
    ("node", "why"),
    [
        ('control: {listen: "127.0.0.1:7"}', "control.listen: is for those who have a key"),
        ('feed: {listen: "10.0.0.1:7"}', "feed.listen: is for those who have a key"),
    ],
)
def test_a_door_over_tcp_is_only_for_those_who_have_a_key(
    tmp_path: Path, node: str, why: str
) -> None:
    text = f"nodes: [{{name: n1, {node}}}]\n"
    config_of(tmp_path, text + "encrypt: true\n")
    for more in ("", "insecure: true\n"):
        with pytest.raises(ConfigError, match=why):
            config_of(tmp_path, text + more)


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        ("127.0.0.1:7101", "is already the address of n1"),
        ("example.org:7102", "IPv4 or IPv6 address"),
        ("0.0.0.0:7102", "is every address"),
        ("7102", "is not host:port"),
    ],
)
def test_the_address_of_a_door_is_checked_like_any_other(
    tmp_path: Path, listen: str, why: str
) -> None:
    node = f'{{name: n1, listen: "127.0.0.1:7101", control: {{listen: "{listen}"}}}}'
    with pytest.raises(ConfigError, match=why):
        config_of(tmp_path, f"nodes: [{node}]\nencrypt: true\n")


def test_keys_lie_beside_what_is_wiped(tmp_path: Path) -> None:
    paths = ClusterPaths(tmp_path, config_of(tmp_path, "nodes: [n1]\nname: mine\n"))
    assert paths.keys == tmp_path / ".chatlab" / "mine.keys"
    assert paths.root not in paths.keys.parents
    paths = ClusterPaths(tmp_path, config_of(tmp_path, "nodes: [n1]\nkeys_dir: ../keys\n"))
    assert paths.keys == tmp_path.parent / "keys"
