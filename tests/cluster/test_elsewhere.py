"""A node's doors over TCP by the command line: with a key; and how they stay shut without."""

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.client.location import keys_in
from node.security.key_files import fingerprint, new_pair, read_trusted, write_secret
from tests.cluster.conftest import Lab, Ran
from tests.cluster.test_keys import free_port

pytestmark = pytest.mark.cluster


class Away:
    """Somebody on another machine: a folder with keys and no cluster file."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.control, self.feed = free_port(), free_port()
        doors = (
            f'control: {{listen: "127.0.0.1:{self.control}"}}, '
            f'feed: {{listen: "127.0.0.1:{self.feed}"}}'
        )
        lab.write(f"nodes: [{{name: n1, {doors}}}, n2]\nencrypt: true\n")
        lab.well("keys", "new", "n1", "n2")
        lab.well("keys", "new", "--client", "ana", "--observer", "eve", "--out", "stick")
        lab.well("cluster", "up", "-d")
        self.keys = lab.folder / "stick"

    def options(self, name: str, door: str = "control", port: int = 0) -> list[str]:
        port = port or (self.control if door == "control" else self.feed)
        key = str(self.keys / f"{name}.secret")
        return [f"--{door}", f"tcp://127.0.0.1:{port}", "--key", key]

    def ask(self, *arguments: str, stdin: bytes = b"") -> Ran:
        return self.lab.chatlab(*arguments, stdin=stdin, CHATLAB_CLUSTER="/nowhere")


@pytest.fixture
def away(lab: Lab) -> Away:
    return Away(lab)


def one_line(ran: Ran, code: int, *words: str) -> None:
    assert (ran.code, ran.out) == (code, ""), ran
    assert ran.err.count("\n") == 1 and ran.err.startswith(("chatlab: ", '{"error": ')), ran.err
    assert all(word in ran.err for word in words), ran.err


def test_a_client_with_a_key_does_what_a_person_on_the_machine_does(away: Away) -> None:
    ana = away.options("ana")
    sent = away.ask(*ana, "send", "n1", "from afar", "--as", "ana", "--ack", "durable", "--json")
    assert sent.code == 0 and sent.json["ack"] == "durable", sent
    # The options may stand anywhere, as --no-color does.
    lines = away.ask("send", "n1", "--stdin", "--as", "ana", *ana, stdin=b"two\nthree\n")
    assert lines.code == 0 and "acked 2" in lines.out, lines
    assert away.ask(*ana, "join", "n1", "--as", "bea").code == 0
    read = away.ask(*ana, "timeline", "n1", "--json")
    assert [one["text"] for one in read.lines] == ["from afar", "two", "three", None]
    people = away.ask(*ana, "presence", "n1", "--json").lines
    assert {one["author"] for one in people} == {"ana", "bea"}
    status = away.ask(*ana, "status", "n1", "--json").json
    assert status["node"] == "n1" and status["events"] == 4


def test_every_refusal_is_one_line(away: Away) -> None:
    send = ("send", "n1", "let me in")
    port = str(away.control)
    one_line(away.ask("--control", f"tcp://127.0.0.1:{port}", *send), 2, "needs a key: --key FILE")
    one_line(
        away.ask(*away.options("eve"), *send), 2, "for the role client", "eve's is for a observer"
    )
    one_line(away.ask(*away.options("ana"), "send", "n9", "x"), 2, "public key of n9", "--node-key")
    one_line(away.ask(*away.options("ana"), "cluster", "ps"), 2, "machine of a cluster")
    one_line(away.ask(*away.options("ana"), "status"), 2, "name the one node")
    one_line(away.ask("--key", "ana.secret", *send), 2, "give the address too")
    one_line(away.ask("--control", "ipc:///x", *send), 2, "is tcp://HOST:PORT")
    one_line(away.ask("--control", "tcp://x:99999", *send), 2, "port 99999")
    shutil.copy(away.keys / "ana.secret", away.keys / "ana.key")
    key = str(away.keys / "ana.key")
    one_line(
        away.ask("--control", f"tcp://127.0.0.1:{port}", "--key", key, *send), 2, "NAME.secret"
    )
    (away.keys / "ana.secret").chmod(0o644)
    one_line(away.ask(*away.options("ana"), *send), 2, "open to other users", "chmod 600")


def test_a_key_that_the_node_does_not_trust_gets_a_line_that_says_what_to_compare(
    away: Away, until: Any
) -> None:
    stranger = new_pair("bob", "client")
    write_secret(away.keys, stranger)
    ran = away.ask(*away.options("bob"), "send", "n1", "let me in")
    node = read_trusted(keys_in(away.lab.file)).keys["n1"].public
    one_line(ran, 4, "hung up", fingerprint(stranger.public), fingerprint(node), "keys show")
    log = Path(away.lab.place.nodes["n1"].log_file)
    until(lambda: fingerprint(stranger.public) in log.read_text())
    assert away.lab.well("timeline", "n1").out == ""
    away.lab.well("keys", "forget", "ana")
    until(lambda: away.ask(*away.options("ana"), "status", "n1").code == 4)  # within a second


def test_who_answers_with_another_key_than_expected_is_not_spoken_to(away: Away) -> None:
    other = new_pair("n1", "peer").public
    ran = away.ask(*away.options("ana"), "--node-key", other.hex(), "send", "n1", "a secret")
    one_line(ran, 4, "hung up", fingerprint(other))
    assert away.lab.well("timeline", "n1").out == ""
    right = read_trusted(keys_in(away.lab.file)).keys["n1"].public.hex()
    (away.keys / "trusted").unlink()
    assert away.ask(*away.options("ana"), "--node-key", right, "send", "n1", "to you").code == 0


def test_nobody_there_and_somebody_who_says_nothing(away: Away) -> None:
    options = away.options("ana", port=free_port())
    one_line(away.ask(*options, "send", "n1", "hello?"), 4, "nobody listens at tcp://127.0.0.1:")
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        options = away.options("ana", port=mute.getsockname()[1])
        one_line(away.ask(*options, "send", "n1", "hello?"), 4, "did not answer within 5 s")


def test_an_observer_follows_and_a_client_key_does_not_open_the_feed(away: Away) -> None:
    follow = ("timeline", "n1", "--follow", "--json")
    one_line(away.ask(*away.options("ana", "feed"), *follow), 2, "for the role observer")
    write_secret(away.keys, new_pair("bob", "observer"))
    one_line(away.ask(*away.options("bob", "feed"), *follow), 4, "hung up")
    one_line(away.ask(*away.options("eve", "feed"), "timeline", "n1"), 2, "needs --control")
    command = away.lab.command(*away.options("eve", "feed"), *follow)
    with subprocess.Popen(
        command,
        cwd=away.lab.folder,
        env=away.lab.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as follower:
        try:
            assert follower.stderr is not None and follower.stdout is not None
            assert "from now on" in follower.stderr.readline()
            away.lab.well("send", "n2", "across", "--ack", "replicated:1")
            assert '"text":"across"' in follower.stdout.readline().replace('": "', '":"')
        finally:
            follower.terminate()


def test_with_both_keys_the_past_and_what_comes(away: Away) -> None:
    away.lab.well("send", "n1", "before")
    keys = [*away.options("ana"), *away.options("eve", "feed")]
    command = away.lab.command(*keys, "timeline", "n1", "--follow", "--json")
    with subprocess.Popen(
        command, cwd=away.lab.folder, env=away.lab.environment, text=True, stdout=subprocess.PIPE
    ) as follower:
        try:
            assert follower.stdout is not None
            assert "before" in follower.stdout.readline()
            away.lab.well("send", "n1", "after")
            assert "after" in follower.stdout.readline()
        finally:
            follower.terminate()
