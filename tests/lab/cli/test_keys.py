"""`chatlab keys` in a folder: made, shown, trusted elsewhere, forgotten; and every refusal."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from lab.cli.main import main
from node.security.key_files import fingerprint, new_pair, read_secret, read_trusted

NODES = "nodes: [n1, n2]\nencrypt: true\n"


@pytest.fixture
def chatlab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """Runs a command line in a folder with a cluster file: its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHATLAB_CLUSTER", raising=False)
    monkeypatch.delenv("CHATLAB_DEBUG", raising=False)
    Path("cluster.yaml").write_text(NODES)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return run


def refused(ran: tuple[int, str, str], *words: str) -> None:
    code, out, err = ran
    assert (code, out) == (2, ""), ran
    assert err.count("\n") == 1 and err.startswith("chatlab: "), err
    assert all(word in err for word in words), err


KEYS = Path(".chatlab/chatlab.keys")


def test_keys_are_made_shown_and_private(chatlab: Any) -> None:
    code, out, err = chatlab("keys", "new", "n1", "n2", "--client", "ana", "--observer", "eve")
    assert (code, err) == (0, "")
    roles = ["peer n1", "peer n2", "client ana", "observer eve"]
    assert [line.partition(":")[0] for line in out.splitlines()] == roles
    assert stat.S_IMODE(KEYS.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in KEYS.iterdir()} == {0o600}
    _, out, _ = chatlab("keys", "show", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [f"{row['role']} {row['name']}" for row in rows] == roles
    pair = read_secret(KEYS, "ana")
    assert rows[2] == {
        "name": "ana",
        "role": "client",
        "fingerprint": fingerprint(pair.public),
        "public": pair.public.hex(),
        "secret": True,
    }
    _, table, _ = chatlab("keys", "show")
    assert pair.public.hex() in table and fingerprint(pair.public) in table
    assert pair.secret.hex() not in out + table
    code, one, _ = chatlab("keys", "show", "n2")
    assert "n2" in one and "n1" not in one


def test_a_public_key_travels_by_hand_and_the_other_machine_trusts_it(
    chatlab: Any, tmp_path: Path
) -> None:
    chatlab("keys", "new", "n1")
    made = new_pair("n2", "peer")  # on the other machine
    code, out, _ = chatlab("keys", "trust", "n2", made.public.hex())
    assert code == 0 and out == f"peer n2: {fingerprint(made.public)} is trusted\n"
    assert "was trusted" in chatlab("keys", "trust", "n2", made.public.hex())[1]
    assert read_trusted(KEYS).public_of("n2", "peer") == made.public
    other = new_pair("n2", "peer").public.hex()
    refused(chatlab("keys", "trust", "n2", other), "trusted already", "--replace")
    assert chatlab("keys", "trust", "n2", other, "--replace")[0] == 0
    assert chatlab("keys", "trust", "ana", made.public.hex(), "--as", "client")[0] == 0
    assert chatlab("keys", "forget", "ana")[:2] == (0, "ana is not trusted any more\n")
    assert list(read_trusted(KEYS).keys) == ["n1", "n2"]


def test_a_secret_key_can_be_put_where_it_is_carried_from(chatlab: Any) -> None:
    assert chatlab("keys", "new", "--client", "ana", "--out", "stick")[0] == 0
    assert [path.name for path in KEYS.iterdir()] == ["trusted"]
    assert stat.S_IMODE(Path("stick").stat().st_mode) == 0o700
    assert stat.S_IMODE(Path("stick/ana.secret").stat().st_mode) == 0o600
    assert json.loads(chatlab("keys", "show", "ana", "--json")[1])["secret"] is False


def test_what_makes_no_sense_is_one_line(chatlab: Any) -> None:
    refused(chatlab("keys", "show"), "no keys there", "chatlab keys new")
    refused(chatlab("keys", "new"), "for whom")
    refused(chatlab("keys", "new", "n3"), "no node 'n3'")
    refused(chatlab("keys", "new", "--client", "n1"), "n1 is a node")
    refused(chatlab("keys", "new", "--client", "../ana"), "is not a name")
    refused(chatlab("keys", "trust", "n1", "abc"), "64 hex digits")
    refused(chatlab("keys", "trust", "n1", "ab" * 32, "--as", "king"), "--as is one of")
    chatlab("keys", "new", "n1")
    refused(chatlab("keys", "new", "n1"), "n1 has a key")
    refused(chatlab("keys", "show", "n2"), "no trusted key of that name")
    refused(chatlab("keys", "forget", "n2"), "no trusted key of that name")
    KEYS.chmod(0o755)
    refused(chatlab("keys", "show"), "open to other users", "chmod 700")


def test_a_name_that_is_trusted_gets_no_second_key(chatlab: Any) -> None:
    chatlab("keys", "trust", "n1", new_pair("n1", "peer").public.hex())
    refused(chatlab("keys", "new", "n1"), "chatlab keys forget n1")


def test_keys_that_are_not_used_say_so(chatlab: Any) -> None:
    Path("cluster.yaml").write_text("nodes: [n1]\n")
    _, _, err = chatlab("keys", "new", "n1")
    assert "keys are not used yet: set `encrypt: true`" in err


@pytest.mark.parametrize("command", [("cluster", "up", "-d"), ("node", "run", "n2")])
def test_a_cluster_that_spans_hosts_does_not_start_without_keys(
    chatlab: Any, command: tuple[str, ...]
) -> None:
    beyond = 'nodes: [n1, {name: n2, listen: "10.255.255.1:7101"}]\n'
    Path("cluster.yaml").write_text(beyond)
    refused(chatlab(*command), "n2 listens on 10.255.255.1:7101", "`insecure: true`")
    Path("cluster.yaml").write_text(beyond + "encrypt: true\n")
    refused(chatlab(*command), "chatlab keys new")
    chatlab("keys", "new", "n1", "n2")
    (KEYS / "n2.secret").chmod(0o644)
    refused(chatlab(*command), "n2.secret: is open to other users (mode 0644): chmod 600 it")
    assert not Path(".chatlab/chatlab/n2/journal").exists()


# --- doctor ---------------------------------------------------------------------------------------


def findings(chatlab: Any) -> dict[str, tuple[bool, str]]:
    """What the doctor says of keys: check -> (good, its line)."""
    _, out, _ = chatlab("doctor", "--json", "--fsyncs", "1")
    rows = [json.loads(line) for line in out.splitlines()]
    assert all("\n" not in row["text"] for row in rows)
    wanted = ("key files", "peers' keys", "encryption")
    return {row["check"]: (row["ok"], row["text"]) for row in rows if row["check"] in wanted}


def test_the_doctor_sees_whether_every_peer_has_a_key(chatlab: Any) -> None:
    found = findings(chatlab)
    assert found["key files"][0] is False and "chatlab keys new" in found["key files"][1]
    assert found["peers' keys"][0] is False and "n1, n2" in found["peers' keys"][1]
    chatlab("keys", "new", "n1")
    good, text = findings(chatlab)["peers' keys"]
    assert not good and "no trusted key of n2" in text and "keys trust n2 PUBLICKEY" in text
    chatlab("keys", "trust", "n2", new_pair("n2", "peer").public.hex())
    found = findings(chatlab)
    assert all(good for good, _ in found.values()), found
    assert found["peers' keys"][1] == "all 2 nodes are trusted, 1 of them can run here"
    chatlab("keys", "trust", "n1", new_pair("n1", "peer").public.hex(), "--replace")
    good, text = findings(chatlab)["peers' keys"]
    assert not good and "n1 has another key than the one in the list" in text


@pytest.mark.parametrize(
    ("name", "mode", "hint"),
    [(".", 0o755, "chmod 700"), ("n1.secret", 0o640, "chmod 600"), ("trusted", 0o622, "chmod 600")],
)
def test_the_doctor_sees_keys_that_others_can_reach(
    chatlab: Any, name: str, mode: int, hint: str
) -> None:
    chatlab("keys", "new", "n1", "n2")
    (KEYS / name).chmod(mode)
    good, text = findings(chatlab)["key files"]
    assert not good and "open to other users" in text and hint in text


def test_the_doctor_sees_hosts_without_encryption(chatlab: Any) -> None:
    beyond = 'nodes: [n1, {name: n2, listen: "10.255.255.1:7101"}]\n'
    Path("cluster.yaml").write_text(beyond)
    good, text = findings(chatlab)["encryption"]
    assert not good and "n2 (10.255.255.1:7101)" in text and "`encrypt: true`" in text
    Path("cluster.yaml").write_text(beyond + "insecure: true\n")
    good, text = findings(chatlab)["encryption"]
    assert not good and "`insecure: true` asks for it" in text
    Path("cluster.yaml").write_text("nodes: [n1, n2]\n")
    assert all(good for good, _ in findings(chatlab).values())
