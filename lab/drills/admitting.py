"""Drill of `node.security`: key files, the list of trusted keys, and the authenticator (ZAP).

The drill writes secret keys and lists into a temporary folder, some of them malformed; each of
those must be refused with the expected line. Then a `Keyring` follows changes of the list, and a
`ZapAuthenticator` answers a request for each connection. The model is a dictionary of the listed
keys: each answer, counter and note follows from it. Left out: real sockets and their handshakes.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import zmq
from zmq.utils import z85

from lab.drills.beside import holds, refused, same, scratch
from lab.drills.loops import Loop
from lab.drills.sockets import Context
from node.config.cluster_file import ClusterConfig, ConfigError, NodeConfig
from node.core.ports import Note
from node.security.curve import ROLE_OF
from node.security.key_files import (
    LIST,
    ROLES,
    KeyPair,
    Role,
    Trusted,
    TrustedKey,
    fingerprint,
    forget,
    parse_public,
    read_secret,
    read_trusted,
    secret_file,
    trust,
    write_secret,
)
from node.security.keyring import Keyring, check_doors, keyring_of
from node.security.zap_authenticator import NOTES_MAX, SAME_KEY_EVERY_S, ZapAuthenticator

NAMES: dict[str, Role] = {"n1": "peer", "n2": "peer", "c1": "client", "o1": "observer"}
STEPS = 14


def admitting(rng: Random) -> None:
    with scratch() as base:
        folder = base / "keys"
        folder.mkdir(mode=0o700)
        pairs = {name: _pair(rng, name, role) for name, role in NAMES.items()}
        _secrets(rng, folder, pairs)
        _lists(rng, folder, pairs)
        _broken_lists(rng, folder, pairs)
        _keyring(rng, folder, pairs)


def _pair(rng: Random, name: str, role: Role) -> KeyPair:
    secret = rng.randbytes(32)
    return KeyPair(name, role, z85.decode(zmq.curve_public(z85.encode(secret))), secret)


def _of(pair: KeyPair, role: Role | None = None) -> TrustedKey:
    return TrustedKey(role or pair.role, pair.name, pair.public)


# --- secret keys ----------------------------------------------------------------------------------


def _secrets(rng: Random, folder: Path, pairs: dict[str, KeyPair]) -> None:
    for name, pair in pairs.items():
        path = write_secret(folder, pair)
        same("where", path, secret_file(folder, name))
        same("mode", path.stat().st_mode & 0o777, 0o600)
        same("there and back", read_secret(folder, name), pair)
        refused("to replace a key", FileExistsError, partial(write_secret, folder, pair))
        print_ = fingerprint(pair.public)
        text = path.read_text("ascii")
        holds("its fingerprint", print_ in text and len(print_) == 19 and print_.count("-") == 3)
        holds("no secret in a log", pair.secret.hex() not in repr(pair) and print_ in repr(pair))
        same("as text", parse_public(pair.public.hex().upper()), pair.public)
    for text in ("", "0" * 63, "0" * 65, "g" * 64, "٠" * 64):
        refused("no key", ValueError, partial(parse_public, text))
    pair, other = pairs["n2"], pairs["c1"]
    path = secret_file(folder, "n2")
    sound = path.read_text("ascii")
    for text, words in (
        (sound.replace("name: n2", "name: n3"), "holds the key of another name"),
        (sound.replace("role: peer", "role: boss"), "is not a secret key of chatlab"),
        (sound.replace("secret: ", "secrets: "), "is not a secret key of chatlab"),
        (sound.replace("public: ", "public: x"), "is not a secret key of chatlab"),
        (sound.replace(pair.public.hex(), other.public.hex()),
         "its public key does not belong to its secret one"),
        (sound + "#" * 4096, "is larger than 4096 bytes"), (sound + "é", "is not ASCII"),
    ):  # fmt: skip
        path.write_text(text, "utf-8")
        _said(f"{path}: ", words, partial(read_secret, folder, "n2"))
    path.write_text(rng.choice((sound, f"\n{sound}\n  \n# more\n")), "ascii")
    same("again", read_secret(folder, "n2"), pair)
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        words = f"is open to other users (mode {mode:04o}): chmod 600 it"
        _said(f"{path}: ", words, partial(read_secret, folder, "n2"))
    path.chmod(0o600)
    folder.chmod(0o750)
    words = "is open to other users (mode 0750): chmod 700 it"
    _said(f"{folder}: ", words, partial(read_secret, folder, "n2"))
    folder.chmod(0o700)
    words = "no such key: `chatlab keys new n9` makes one"
    _said(f"{secret_file(folder, 'n9')}: ", words, partial(read_secret, folder, "n9"))
    gone = folder / "gone"
    _said(f"{gone}: ", "no keys there", partial(read_secret, gone, "n1"))


def _said(start: str, words: str, call: Callable[[], object]) -> None:
    text = str(refused(words, ConfigError, call))
    holds(f"{words}: {text}", text.startswith(start) and words in text and "\n" not in text)


# --- the list -------------------------------------------------------------------------------------


def _lists(rng: Random, folder: Path, pairs: dict[str, KeyPair]) -> None:
    listed: dict[str, TrustedKey] = {}
    same("none yet", read_trusted(folder).keys, {})
    for _ in range(STEPS // 2):
        name = rng.choice([*NAMES, "x1"])
        pair = pairs.get(name) or pairs[rng.choice(sorted(NAMES))]
        key = TrustedKey(rng.choice(ROLES), name, pair.public)
        replace = rng.random() < 0.5
        if rng.random() < 0.3:
            same("forgotten", forget(folder, name), name in listed)
            listed.pop(name, None)
        else:
            holder = next((one for one in listed.values() if one.public == key.public), None)
            call = partial(trust, folder, key, replace=replace)
            if holder == key:
                same("it was there", call(), False)  # noqa: FBT003
            elif holder is not None and holder.name != name:
                words = f"this is the key of {holder.role} {holder.name} already"
                _said(words, words, call)
            elif name in listed and not replace:
                known = listed[name]
                words = f"as {known.role} with the key {fingerprint(known.public)}: --replace"
                _said(f"{name} is trusted already, ", words, call)
            else:
                same("trusted", call(), True)  # noqa: FBT003
                listed[name] = key
        _same_list(read_trusted(folder), listed, pairs)
    path = folder / LIST
    if path.exists():
        same("mode", path.stat().st_mode & 0o777, 0o600)
    holds("nothing beside", not [one for one in os.listdir(folder) if one.startswith(".")])
    for name in list(listed):
        forget(folder, name)


def _same_list(trusted: Trusted, listed: dict[str, TrustedKey], pairs: dict[str, KeyPair]) -> None:
    same("list", trusted.keys, listed)
    for name in (*NAMES, "x1"):
        for role in ROLES:
            key = listed.get(name)
            fits = key is not None and key.role == role
            same("key", trusted.public_of(name, role), key.public if key and fits else None)
    for pair in pairs.values():
        found = [one for one in listed.values() if one.public == pair.public]
        for role in ROLES:
            owner = [one.name for one in found if one.role == role]
            same("owner", trusted.owner(pair.public, role), owner[0] if owner else None)


def _broken_lists(rng: Random, folder: Path, pairs: dict[str, KeyPair]) -> None:
    path = folder / LIST
    good = f"peer n1 {pairs['n1'].public.hex()}\n"
    two, again = pairs["n2"].public.hex(), pairs["n1"].public.hex()
    lines = [good, "# a comment\n", "\n"]
    for line, words in (
        (f"peer n1 {two}\n", "a second line for this name or this key"),
        (f"peer n2 {again}\n", "a second line for this name or this key"),
        (f"boss n2 {two}\n", "is not `role name public-key`"),
        (f"peer n2 {two[1:]}\n", "is not `role name public-key`"),
        (f"peer n2 {two} more\n", "is not `role name public-key`"),
        (f"peer N2 {two}\n", "'N2' is not a name: 1 to 32 of a-z"),
    ):
        some = rng.sample(lines[1:], rng.randint(0, 2))
        path.write_text("".join([good, *some, line]), "ascii")
        path.chmod(0o600)
        _said(f"{path}:{len(some) + 2}: ", words, partial(read_trusted, folder))
    path.write_text(good, "ascii")
    path.chmod(0o644)
    same("others may read it", list(read_trusted(folder).keys), ["n1"])
    path.chmod(0o620)
    _said(f"{path}: ", "(mode 0620): chmod 600 it", partial(read_trusted, folder))
    path.unlink()


# --- a keyring, and the authenticator -------------------------------------------------------------


def _keyring(rng: Random, folder: Path, pairs: dict[str, KeyPair]) -> None:
    now_s = [100.0]
    make = partial(Keyring, folder, "n1", now_s=lambda: now_s[0])
    _said(f"{folder}: ", "n1 has another key than the one in the list", make)
    client = partial(Keyring, folder, "c1")
    _said(f"{folder}: ", "the key of c1 is a client's, not a node's", client)
    listed = {"n1": _of(pairs["n1"])}
    trust(folder, listed["n1"])
    keyring = make()
    notes: list[Note] = []
    keyring.on_note = notes.append
    same("own", keyring.own, pairs["n1"])
    known, told, looked_s = dict(listed), 0, now_s[0]
    doors = Doors(rng, keyring, pairs)
    changed = False
    for _ in range(STEPS):
        name = rng.choice(("n2", "c1", "o1"))
        match rng.randrange(5):
            case 0:
                if forget(folder, name):
                    changed = True
                    listed.pop(name)
            case 1:
                key = _of(pairs[name], rng.choice(ROLES))
                changed |= trust(folder, key, replace=True)
                listed[name] = key
            case _:
                now_s[0] += rng.choice((0.1, 0.7, 1.5))
        before = keyring.trusted
        if now_s[0] - looked_s >= 1.0:
            looked_s = now_s[0]
            if changed:
                known, changed, told = dict(listed), False, told + 1
        same("whom it trusts", keyring.trusted.keys, known)
        holds("the same list is the same object", keyring.trusted is before)
        same("told", [one.event for one in notes], ["keys_read"] * told)
        doors.ask(known)
    doors.loop.advance(SAME_KEY_EVERY_S)
    doors.stop()
    now_s[0] += 2.0
    (folder / LIST).write_text("nonsense\n", "ascii")
    same("nobody is trusted", keyring.trusted.keys, {})
    same("and that is told", notes[-1].event, "keys_unreadable")
    _clusters(folder, pairs)


def _clusters(folder: Path, pairs: dict[str, KeyPair]) -> None:
    near, far = NodeConfig("n1", "127.0.0.1:71"), NodeConfig("n2", "10.0.0.1:71")
    check_doors(ClusterConfig([near]))
    check_doors(ClusterConfig([near, far], insecure=True))
    check_doors(ClusterConfig([near, far], encrypt=True))
    words = "n2 listens on 10.0.0.1:71, beyond this machine"
    _said(words, "`insecure: true`", partial(check_doors, ClusterConfig([near, far])))
    same("without keys", keyring_of(ClusterConfig([near]), folder, "n1"), None)
    (folder / LIST).unlink()
    trust(folder, _of(pairs["n1"]))
    keyring = keyring_of(ClusterConfig([near], encrypt=True), folder, "n1")
    holds("with keys", keyring is not None and keyring.own == pairs["n1"])


class Doors:
    """The model of the authenticator: its answers, its counters, and when it noted which key."""

    def __init__(self, rng: Random, keyring: Keyring, pairs: dict[str, KeyPair]) -> None:
        self.rng, self.pairs = rng, pairs
        self.loop, self.context = Loop(), Context()
        self.notes: list[Note] = []
        self.told: dict[tuple[str, bytes], float] = {}
        self.let_in = self.refused = self.count = 0
        self.zap = ZapAuthenticator(
            self.loop.as_asyncio, self.context.as_zmq, keyring=keyring, on_note=self.notes.append
        )
        self.zap.start()
        self.socket = self.context.sockets[0]
        self.zap.newcomers["gossip"] = lambda: ["h:1", "h:2", "h:3", "h:4", "h:5"]

    def ask(self, listed: dict[str, TrustedKey]) -> None:
        rng = self.rng
        self.loop.advance(rng.choice((0.1, 3.0, 30.0)))
        for _ in range(rng.randint(1, 4)):
            self._ask(listed)

    def _ask(self, listed: dict[str, TrustedKey]) -> None:
        rng = self.rng
        domain = rng.choice((*ROLE_OF, "gossip", "nowhere"))
        keys = [pair.public for pair in self.pairs.values()]
        key = rng.choice([*keys, rng.randbytes(32), b"short"])
        parts = [b"id", b"", b"1.0", b"77", domain.encode(), b"addr", b"me", b"CURVE", key]
        at = rng.randrange(20)
        if at < 3:
            parts = [parts[:8], [*parts, b"x"], [*parts[:7], b"PLAIN", key]][at]
        sound = len(parts) == 9 and parts[7] == b"CURVE"
        if at == 3:
            parts[2], sound = b"2.0", False
        role = ROLE_OF.get(domain)
        holder = next((one for one in listed.values() if one.public == key), None)
        why = "" if sound else "not_curve"
        if sound and (role is None or holder is None):
            why = "unknown_key"
        elif sound and holder is not None and holder.role != role:
            why = f"key_of_a_{holder.role}"
        self.socket.coming.append(parts)
        self.loop.readers[self.socket.fd]()
        answer = self.socket.sent.pop()
        status = [b"300", b"", b"", b""] if why else [b"200", b"", key.hex().encode(), b""]
        same("answer", answer, [*parts[:4], *status])
        self.let_in += not why
        self.refused += bool(why)
        same("counters", self.zap.counters,
             {"doors_let_in": self.let_in, "doors_refused": self.refused})  # fmt: skip
        self._judge_note(domain, parts[-1], why, listed)

    def _judge_note(self, domain: str, key: bytes, why: str, listed: dict[str, TrustedKey]) -> None:
        now_s = self.loop.now_s
        self.told = {one: at for one, at in self.told.items() if now_s - at < SAME_KEY_EVERY_S}
        due = bool(why) and (domain, key) not in self.told and len(self.told) < NOTES_MAX
        self.count += due
        same("notes", len(self.notes), self.count)
        if due:
            self.told[domain, key] = now_s
            names = [one.name for one in listed.values() if one.public == key]
            fields = {"door": domain, "reason": why, "fingerprint": fingerprint(key),
                      "address": "h:1 or h:2 or h:3 or h:4" if domain == "gossip" else "",
                      "count": self.refused} | ({"name": names[0]} if names else {})  # fmt: skip
            same("note", self.notes[-1], Note("key_refused", "warning", {**fields}))

    def stop(self) -> None:
        self.zap.stop()
        self.zap.stop()
        holds("closed", self.socket.closed and not self.loop.readers)
