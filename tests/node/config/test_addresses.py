"""Who listens where: what the file says stands, the rest is given once and then remembered."""

import socket
import threading
from pathlib import Path

import pytest

from node.config.addresses import PORTS_FIRST, PORTS_LAST, Directory, is_free
from node.config.cluster_file import ClusterConfig, ConfigError, NodeConfig, generated
from node.config.paths import AddressBook


def port_of(endpoint: str) -> int:
    assert endpoint.startswith("tcp://127.0.0.1:")
    return int(endpoint.rpartition(":")[2])


@pytest.fixture
def book(tmp_path: Path) -> AddressBook:
    return AddressBook(tmp_path / "nodes.json")


def test_what_the_file_says_needs_no_book(book: AddressBook) -> None:
    nodes = [NodeConfig("n1", "127.0.0.1:7101"), NodeConfig("n2", "[::1]:7102")]
    directory = Directory(ClusterConfig(nodes), book)
    known = {"n1": "tcp://127.0.0.1:7101", "n2": "tcp://[::1]:7102"}
    assert directory.current() == known
    assert [directory.own(name) for name in known] == list(known.values())
    assert not book.path.exists()


def test_the_first_to_ask_gives_an_address_to_everybody(book: AddressBook) -> None:
    directory = Directory(generated(5), book)
    assert directory.current() == {}
    own = directory.own("n3")
    known = directory.current()
    assert known["n3"] == own
    assert len(set(known.values())) == 5
    assert all(PORTS_FIRST <= port_of(endpoint) < PORTS_LAST for endpoint in known.values())
    for name, endpoint in known.items():
        assert Directory(generated(5), book).own(name) == endpoint


def test_addresses_stay_when_nodes_come_and_go(book: AddressBook) -> None:
    Directory(generated(2), book).own("n1")
    before = book.load()
    Directory(generated(4), book).own("n4")
    after = book.load()
    assert before.items() <= after.items()
    assert after.keys() == {"n1", "n2", "n3", "n4"}
    assert Directory(generated(1), book).current() == {"n1": before["n1"]}


def test_the_file_stands_above_the_book(book: AddressBook) -> None:
    book.save({"n1": "tcp://127.0.0.1:20001", "n2": "tcp://127.0.0.1:20002"})
    config = ClusterConfig([NodeConfig("n1", "127.0.0.1:7101"), NodeConfig("n2")])
    assert Directory(config, book).current() == {
        "n1": "tcp://127.0.0.1:7101",
        "n2": "tcp://127.0.0.1:20002",
    }


def test_nodes_that_start_at_once_agree(book: AddressBook) -> None:
    names = [f"n{number}" for number in range(1, 9)]
    directories = [Directory(generated(len(names)), book) for _ in names]
    threads = [
        threading.Thread(target=directory.own, args=(name,))
        for directory, name in zip(directories, names, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    agreed = book.load()
    assert agreed.keys() == set(names)
    assert len(set(agreed.values())) == len(names)
    assert all(directory.current() == agreed for directory in directories)


def test_a_change_of_the_book_is_seen(book: AddressBook) -> None:
    directory = Directory(generated(1), book)
    for port in (20001, 20002):
        book.save({"n1": f"tcp://127.0.0.1:{port}", "stranger": "x"})
        assert directory.current() == {"n1": f"tcp://127.0.0.1:{port}"}


def test_a_book_that_breaks_changes_nothing_and_is_refused_at_a_start(book: AddressBook) -> None:
    directory = Directory(generated(2), book)
    book.save({"n1": "tcp://127.0.0.1:20001"})
    known = directory.current()
    book.path.write_text("{")
    assert directory.current() == known
    book.path.unlink()
    assert directory.current() == known
    book.path.write_text("{")
    with pytest.raises(ConfigError, match="is not an address book"):
        directory.own("n2")


def test_a_port_that_is_taken_is_given_to_nobody(
    book: AddressBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr("node.config.addresses.PORTS_FIRST", port)
        monkeypatch.setattr("node.config.addresses.PORTS_LAST", port + 1)
        with pytest.raises(OSError, match=f"no free port in {port}..{port}: set `listen`"):
            Directory(generated(1), book).own("n1")
    assert not book.path.exists()


def test_a_host_name_is_resolved_for_the_one_who_listens_only(book: AddressBook) -> None:
    directory = Directory(ClusterConfig([NodeConfig("n1", "localhost:7101")]), book)
    assert directory.current() == {"n1": "tcp://localhost:7101"}
    assert directory.own("n1") == "tcp://127.0.0.1:7101"


def test_a_host_that_nobody_knows_is_one_line(
    book: AddressBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    directory = Directory(ClusterConfig([NodeConfig("n1", "nowhere.invalid:7101")]), book)
    with pytest.raises(OSError, match=r"cannot find the host nowhere\.invalid: Name or service"):
        directory.own("n1")


def test_a_port_that_somebody_took_is_given_up_when_nothing_of_the_cluster_runs(
    book: AddressBook,
) -> None:
    directory = Directory(generated(3), book)
    directory.assign()
    before = directory.current()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port_of(before["n2"])))
        stranger.listen()
        assert not is_free(before["n2"])
        assert is_free(before["n1"])
        Directory(generated(3), book).assign()
        assert book.load() == before, "a node of ours may be the one that listens"
        Directory(generated(3), book).assign(renew_taken=True)
    after = book.load()
    assert after["n2"] != before["n2"]
    assert (after["n1"], after["n3"]) == (before["n1"], before["n3"])


def test_an_address_in_version_6_is_probed_as_such() -> None:
    with socket.socket(socket.AF_INET6) as holder:
        try:
            holder.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
        holder.listen()
        assert not is_free(f"tcp://[::1]:{holder.getsockname()[1]}")
