"""Keys on disk: one file for each secret key, and one list of whom to trust.

    <keys folder>/      0700
        n1.secret       0600   name, role, public and secret key; never leaves the machine it is for
        trusted         0600   a line for each key that may come in: role name public-key

Rules
- A key is 32 bytes, written as 64 hex digits: no shell and no mail program changes those.
- One name has one key, one key has one name, and each has one role. What a peer's key opens, a
  client's does not.
- A secret key, a list or a folder that others could read or write is refused, as ssh does: the
  owner must have made it so by mistake, and would not see it otherwise.
- Files are replaced as a whole: a reader sees the old one or the new one.

Every error is a ConfigError of one line.
"""

import base64
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import zmq
from msgspec import Struct
from zmq.utils import z85

from domain.dot import ORIGIN_FORM
from node.config.cluster_file import ConfigError
from node.config.error_messages import NAME_FORM

Role = Literal["peer", "client", "observer"]
ROLES: tuple[Role, ...] = ("peer", "client", "observer")
NAME = re.compile(ORIGIN_FORM)
KEY_BYTES = 32
SECRET_BYTES_MAX = 4096
LIST_BYTES_MAX = 1024 * 1024
LIST = "trusted"
_LIST_HEAD = """\
# Who may come in: role, name, public key. `chatlab keys trust` and `forget` write it; a running
# node sees a change within a second or two.
"""


class KeyPair(Struct, frozen=True):
    name: str
    role: Role
    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        """Without the secret: this may end in a log or a traceback."""
        return f"KeyPair({self.name!r}, {self.role!r}, {fingerprint(self.public)})"


class TrustedKey(Struct, frozen=True):
    role: Role
    name: str
    public: bytes


class Trusted:
    """A list of trusted keys, as it was when it was read."""

    def __init__(self, keys: list[TrustedKey]) -> None:
        self.keys = {key.name: key for key in keys}
        self.by_public = {key.public: key for key in keys}

    def owner(self, public: bytes, role: Role) -> str | None:
        """Whose key it is, if it has that role."""
        key = self.by_public.get(public)
        return key.name if key is not None and key.role == role else None

    def public_of(self, name: str, role: Role) -> bytes | None:
        key = self.keys.get(name)
        return key.public if key is not None and key.role == role else None


def fingerprint(public: bytes) -> str:
    """A short name of a key that two people can compare, and that nobody can make another key for:
    80 bits of its hash, as four groups of four."""
    digest = hashlib.blake2b(public, digest_size=10, person=b"chatlab key").digest()
    text = base64.b32encode(digest).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, 16, 4))


def new_pair(name: str, role: Role) -> KeyPair:
    public, secret = zmq.curve_keypair()
    return KeyPair(name, role, z85.decode(public), z85.decode(secret))


def parse_public(text: str) -> bytes:
    """64 hex digits as a key; raises ValueError."""
    if re.fullmatch(r"[0-9A-Fa-f]{64}", text, re.ASCII) is None:
        raise ValueError("a public key is 64 hex digits, as `chatlab keys show` prints it")
    return bytes.fromhex(text)


# --- secret keys ----------------------------------------------------------------------------------


def secret_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.secret"


def write_secret(folder: Path, pair: KeyPair) -> Path:
    """A new file, for the owner only. Raises FileExistsError rather than replace a key."""
    path = secret_file(folder, pair.name)
    text = (
        f"# The secret key of {pair.role} {pair.name}, fingerprint {fingerprint(pair.public)}.\n"
        f"# Whoever has it is {pair.name}: keep it on the machine that it is for.\n"
        f"name: {pair.name}\n"
        f"role: {pair.role}\n"
        f"public: {pair.public.hex()}\n"
        f"secret: {pair.secret.hex()}\n"
    )
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        os.fchmod(handle, 0o600)  # an umask can only take away, an ACL of the folder may add
        file.write(text)
        file.flush()
        os.fsync(handle)
    return path


def read_secret(folder: Path, name: str) -> KeyPair:
    check_folder(folder)
    path = secret_file(folder, name)
    text = _read(path, 0o077, SECRET_BYTES_MAX)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    fields = dict(line.partition(": ")[::2] for line in lines)
    try:
        role = _role(fields["role"])
        public, secret = (parse_public(fields[which]) for which in ("public", "secret"))
    except (KeyError, ValueError):
        raise ConfigError(f"{path}: is not a secret key of chatlab") from None
    if fields.get("name") != name:
        raise ConfigError(f"{path}: holds the key of another name")
    if zmq.curve_public(z85.encode(secret)) != z85.encode(public):
        raise ConfigError(f"{path}: its public key does not belong to its secret one")
    return KeyPair(name, role, public, secret)


# --- the list -------------------------------------------------------------------------------------


def read_trusted(folder: Path) -> Trusted:
    """The list; empty if there is none yet."""
    path = folder / LIST
    if not os.path.lexists(path):
        return Trusted([])
    check_folder(folder)
    keys: list[TrustedKey] = []
    taken: set[str | bytes] = set()
    for number, line in enumerate(_read(path, 0o022, LIST_BYTES_MAX).splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        key = _parse_line(line, f"{path}:{number}")
        if key.name in taken or key.public in taken:
            raise ConfigError(f"{path}:{number}: a second line for this name or this key")
        taken |= {key.name, key.public}
        keys.append(key)
    return Trusted(keys)


def trust(folder: Path, key: TrustedKey, *, replace: bool = False) -> bool:
    """Add a key to the list. False: it was there. Raises ConfigError if that would change one."""
    with _locked(folder):
        trusted = read_trusted(folder)
        other = trusted.by_public.get(key.public)
        if other == key:
            return False
        if other is not None and other.name != key.name:
            raise ConfigError(f"this is the key of {other.role} {other.name} already")
        known = trusted.keys.get(key.name)
        if known is not None and not replace:
            print_ = fingerprint(known.public)
            raise ConfigError(
                f"{key.name} is trusted already, as {known.role} with the key {print_}: "
                "--replace changes that"
            )
        _write_trusted(folder, [*trusted.keys.values(), key])
    return True


def forget(folder: Path, name: str) -> bool:
    """Take a name off the list. False: it was not there."""
    with _locked(folder):
        trusted = read_trusted(folder)
        if name not in trusted.keys:
            return False
        _write_trusted(folder, [key for key in trusted.keys.values() if key.name != name])
    return True


def _write_trusted(folder: Path, keys: list[TrustedKey]) -> None:
    last = {key.name: key for key in keys}  # of two lines for one name the later counts
    lines = [f"{key.role} {key.name} {key.public.hex()}\n" for key in last.values()]
    beside = folder / f".{LIST}.{os.getpid()}"
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(_LIST_HEAD + "".join(lines))
        file.flush()
        os.fsync(handle)
    os.replace(beside, folder / LIST)


def _parse_line(line: str, where: str) -> TrustedKey:
    parts = line.split()
    try:
        role, name, public = parts
        key = TrustedKey(_role(role), name, parse_public(public))
    except ValueError:
        raise ConfigError(f"{where}: is not `role name public-key`") from None
    if NAME.fullmatch(key.name) is None:
        raise ConfigError(f"{where}: {key.name[:40]!a} is not a name: {NAME_FORM}")
    return key


def _role(text: str) -> Role:
    if text not in ROLES:
        raise ValueError(f"{text!a} is not one of {', '.join(ROLES)}")
    return text


# --- folders and modes ----------------------------------------------------------------------------


def check_folder(folder: Path) -> None:
    try:
        status = folder.stat()
    except OSError as error:
        hint = "`chatlab keys new NODE` makes keys"
        raise ConfigError(f"{folder}: no keys there ({error.strerror}): {hint}") from None
    _check_mode(folder, status, 0o077, "700")


def _read(path: Path, forbidden: int, bytes_max: int) -> str:
    try:
        with path.open("rb") as file:
            _check_mode(path, os.fstat(file.fileno()), forbidden, "600")
            data = file.read(bytes_max + 1)
    except FileNotFoundError:
        name = path.name.removesuffix(".secret")
        raise ConfigError(f"{path}: no such key: `chatlab keys new {name}` makes one") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot read it: {error.strerror}") from None
    if len(data) > bytes_max:
        raise ConfigError(f"{path}: is larger than {bytes_max} bytes")
    try:
        return data.decode("ascii")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not ASCII") from None


def _check_mode(path: Path, status: os.stat_result, forbidden: int, wanted: str) -> None:
    if status.st_uid not in (os.getuid(), 0):
        raise ConfigError(f"{path}: belongs to another user: keys must be your own")
    mode = stat.S_IMODE(status.st_mode)
    if mode & forbidden:
        raise ConfigError(f"{path}: is open to other users (mode {mode:04o}): chmod {wanted} it")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two commands that change the list at once must not lose each other's line."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
