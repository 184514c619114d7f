"""Key files and the list of trusted keys: modes, replacement, and every line that is refused."""

import os
import stat
from pathlib import Path

import pytest

from node.config.cluster_file import ConfigError, generated
from node.core.ports import Note
from node.security.key_files import (
    LIST,
    KeyPair,
    TrustedKey,
    fingerprint,
    forget,
    new_pair,
    parse_public,
    read_secret,
    read_trusted,
    secret_file,
    trust,
    write_secret,
)
from node.security.keyring import Keyring, check_doors, keyring_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    return keys


def trusted(folder: Path, pair: KeyPair) -> KeyPair:
    trust(folder, TrustedKey(pair.role, pair.name, pair.public))
    return pair


def made(folder: Path, name: str = "n1") -> KeyPair:
    pair = new_pair(name, "peer")
    write_secret(folder, pair)
    return trusted(folder, pair)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_key_is_for_its_owner_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        pair = made(folder)
    finally:
        os.umask(before)
    assert mode(secret_file(folder, "n1")) == 0o600
    assert mode(folder / LIST) == 0o600
    assert read_secret(folder, "n1") == pair
    with pytest.raises(FileExistsError):
        write_secret(folder, pair)
    assert pair.secret.hex() not in repr(pair)
    assert fingerprint(pair.public) in repr(pair)


@pytest.mark.parametrize("loose", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_secret_key_that_others_could_read_is_refused(folder: Path, loose: int) -> None:
    made(folder)
    secret_file(folder, "n1").chmod(loose)
    with pytest.raises(ConfigError, match=f"open to other users .mode 0{loose:o}.: chmod 600"):
        read_secret(folder, "n1")


@pytest.mark.parametrize("loose", [0o750, 0o755, 0o770, 0o711])
def test_a_folder_that_others_could_look_into_is_refused(folder: Path, loose: int) -> None:
    made(folder)
    folder.chmod(loose)
    for use in (lambda: read_secret(folder, "n1"), lambda: read_trusted(folder)):
        with pytest.raises(ConfigError, match="chmod 700"):
            use()


def test_a_list_that_others_could_write_is_refused(folder: Path) -> None:
    made(folder)
    (folder / LIST).chmod(0o644)
    assert list(read_trusted(folder).keys) == ["n1"]
    (folder / LIST).chmod(0o620)
    with pytest.raises(ConfigError, match="open to other users"):
        read_trusted(folder)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: "", "is not a secret key"),
        (lambda text: text.replace("role: peer", "role: king"), "is not a secret key"),
        (lambda text: text.replace("name: n1", "name: n2"), "another name"),
        (lambda text: text[:-10], "is not a secret key"),
        (lambda text: text + "é", "is not ASCII"),
        (lambda text: text + "#" * 5000, "larger than"),
        (lambda text: text[: text.index("secret:")] + f"secret: {'ab' * 32}\n", "does not belong"),
    ],
)
def test_a_damaged_secret_key_is_one_line(folder: Path, change: object, why: str) -> None:
    pair = made(folder)
    path = secret_file(folder, "n1")
    path.write_text(change(path.read_text()), encoding="utf-8")  # type: ignore[operator]
    with pytest.raises(ConfigError, match=why) as caught:
        read_secret(folder, "n1")
    assert "\n" not in str(caught.value)
    assert pair.secret.hex() not in str(caught.value)


def test_what_is_missing_says_which_command_makes_it(folder: Path) -> None:
    with pytest.raises(ConfigError, match="`chatlab keys new n7` makes one"):
        read_secret(folder, "n7")
    with pytest.raises(ConfigError, match="no keys there"):
        read_secret(folder / "none", "n7")
    assert read_trusted(folder / "none").keys == {}


def test_one_name_has_one_key_and_one_key_one_name(folder: Path) -> None:
    pair, other = made(folder), new_pair("n2", "peer")
    assert not trust(folder, TrustedKey("peer", "n1", pair.public))
    for key, why in (
        (TrustedKey("peer", "n1", other.public), "trusted already, as peer"),
        (TrustedKey("client", "n1", other.public), "trusted already, as peer"),
        (TrustedKey("client", "ana", pair.public), "the key of peer n1 already"),
    ):
        with pytest.raises(ConfigError, match=why):
            trust(folder, key)
    assert trust(folder, TrustedKey("peer", "n1", other.public), replace=True)
    assert read_trusted(folder).public_of("n1", "peer") == other.public
    assert read_trusted(folder).owner(pair.public, "peer") is None
    assert forget(folder, "n1")
    assert not forget(folder, "n1")
    assert read_trusted(folder).keys == {}


@pytest.mark.parametrize(
    "line",
    [
        "peer n3",
        "peer n3 " + "0" * 63,
        "king n3 " + "0" * 64,
        "peer ../n3 " + "0" * 64,
        "peer n3 " + "0" * 64 + " more",
        "peer n1 " + "0" * 64,
    ],
)
def test_a_bad_line_of_the_list_is_named(folder: Path, line: str) -> None:
    made(folder)
    path = folder / LIST
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ConfigError, match=r"trusted:4: "):
        read_trusted(folder)


def test_what_replaces_a_key_file_is_on_the_disk_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut leaves the old file or the new one, and never an empty one."""
    synced: list[bytes] = []
    fsync = os.fsync

    def seen(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").read_bytes())
        fsync(fd)

    monkeypatch.setattr(os, "fsync", seen)
    pair = new_pair("n1", "peer")
    path = write_secret(folder, pair)
    assert synced == [path.read_bytes()] and synced[0]
    for change in (lambda: trusted(folder, pair), lambda: forget(folder, "n1")):
        synced.clear()
        change()
        assert synced == [(folder / LIST).read_bytes()] and synced[0]


def test_a_public_key_is_64_hex_digits() -> None:
    assert parse_public("Ab" * 32) == b"\xab" * 32
    for text in ("", "ab" * 31, "ab" * 33, "xy" * 32, " " + "ab" * 32, "٣" * 64):
        with pytest.raises(ValueError, match="64 hex digits"):
            parse_public(text)


# --- the keyring ----------------------------------------------------------------------------------


def test_a_keyring_looks_at_the_list_seldom_and_reads_it_when_it_changed(folder: Path) -> None:
    made(folder)
    now_s, notes = 100.0, list[Note]()
    ring = Keyring(folder, "n1", now_s=lambda: now_s)
    ring.on_note = notes.append
    first = ring.trusted
    other = trusted(folder, new_pair("n2", "peer"))
    now_s = 100.9
    assert ring.trusted is first
    now_s = 101.1
    assert ring.trusted.owner(other.public, "peer") == "n2"
    assert ring.trusted.owner(other.public, "client") is None
    (folder / LIST).unlink()
    now_s = 103
    assert ring.trusted.keys == {}
    assert [note.event for note in notes] == ["keys_read"] * 2


def test_a_node_whose_key_is_not_the_trusted_one_does_not_start(folder: Path) -> None:
    write_secret(folder, new_pair("n1", "peer"))
    with pytest.raises(ConfigError, match=r"`chatlab keys trust n1 [0-9a-f]{64} --replace`"):
        Keyring(folder, "n1")
    write_secret(folder, trusted(folder, new_pair("n2", "client")))
    with pytest.raises(ConfigError, match="is a client's, not a node's"):
        Keyring(folder, "n2")


def test_without_encrypt_there_is_no_keyring_and_no_key_is_looked_for(tmp_path: Path) -> None:
    config = generated(3)
    check_doors(config)
    assert keyring_of(config, tmp_path / "none", "n1") is None
