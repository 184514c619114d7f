"""The ZAP authenticator: a worker that tells libzmq who may connect (ZAP, RFC 27).

Its worker name in logs and `status` is `doors`.

For a socket that `node.security.curve` has locked, libzmq asks at an inproc address, before
anything that the other side sends is read: this domain, this address, this public key? The answer
is the list of trusted keys, by role.

Rules
- Fail closed. While this worker is down nobody new comes in (`ZAP_ENFORCE_DOMAIN`); connections
  that stand go on. An unknown domain, another mechanism, a question that makes no sense: no.
- A refusal is silent: status 300, upon which libzmq says nothing more and hangs up when the time
  for a handshake is over. 400 would tell a stranger that only his key is wrong, and would make
  libzmq at a good peer's, who is just not trusted yet, never try again.
- The owner is told: one warning with the key's fingerprint, seldom for the same key, and seldom in
  all, since a stranger can have a new key each time.
"""

import asyncio
from collections.abc import Callable

import zmq

from node.core.ports import Fields, Note
from node.security.curve import ROLE_OF, ZAP
from node.security.key_files import KEY_BYTES, fingerprint
from node.security.keyring import Keyring
from node.sockets.pump import Guard, Pump, RawContext, RawSocket, bare

SAME_KEY_EVERY_S = 60.0
NOTES_MAX = 10  # in that time, of all keys
ADDRESSES_MAX = 4  # in a note: nearly always it is one, that of the key
_QUESTION_FRAMES = 9  # of CURVE: two of envelope, six, and the key
Why = str


class ZapAuthenticator:
    """A supervised worker. One for each ZeroMQ context: libzmq looks for it nowhere else."""

    name = "doors"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: RawContext,
        *,
        keyring: Keyring,
        on_note: Callable[[Note], None],
        guard: Guard = bare,
    ) -> None:
        self._loop = loop
        self._context = context
        self._keyring = keyring
        self._on_note = on_note
        self._guard = guard
        self._socket: RawSocket | None = None
        self._pump: Pump | None = None
        # By domain: the addresses of those who come in at this moment. libzmq knows the gate's.
        self.newcomers: dict[str, Callable[[], list[str]]] = {}
        self._refused_at: dict[tuple[str, bytes], float] = {}  # domain and key -> when
        self.counters = {"doors_let_in": 0, "doors_refused": 0}

    def start(self) -> None:
        assert self._socket is None, "started twice"
        self._socket = socket = self._context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 0)  # each answer was asked for: no more than connections
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.bind(ZAP)
        self._pump = Pump(self._loop, socket, self._on_question, self._look, self._guard)

    def stop(self) -> None:
        if self._pump is not None:
            self._pump.close()
            self._pump = None
        if self._socket is not None:
            # At once, and not when libzmq gets to it: the next life binds the same address.
            if not self._socket.closed:
                self._socket.unbind(ZAP)
            self._socket.close(linger=0)
            self._socket = None

    def _look(self) -> None:
        if self._pump is not None:
            self._pump.look()

    def _on_question(self, parts: list[bytes]) -> None:
        assert self._socket is not None
        key = parts[-1]
        domain = parts[4].decode("ascii", "replace") if len(parts) > 4 else ""
        why = self._why_not(parts, domain)
        if why:
            self._refuse(domain, key, why)
        else:
            self.counters["doors_let_in"] += 1
        status, user = (b"300", b"") if why else (b"200", key.hex().encode())
        # Envelope, version and number as they came; status, its text, the user, no metadata.
        self._socket.send_multipart([*parts[:4], status, b"", user, b""], zmq.DONTWAIT)

    def _why_not(self, parts: list[bytes], domain: str) -> Why:
        """Empty: let it in."""
        if len(parts) != _QUESTION_FRAMES or parts[2] != b"1.0" or parts[7] != b"CURVE":
            return "not_curve"
        role = ROLE_OF.get(domain)
        key = self._keyring.trusted.by_public.get(parts[-1])
        if role is None or key is None or len(parts[-1]) != KEY_BYTES:
            return "unknown_key"
        return "" if key.role == role else f"key_of_a_{key.role}"

    def _refuse(self, domain: str, key: bytes, why: Why) -> None:
        self.counters["doors_refused"] += 1
        now_s = self._loop.time()
        for known, told_s in list(self._refused_at.items()):
            if now_s - told_s >= SAME_KEY_EVERY_S:
                del self._refused_at[known]
        if (domain, key) in self._refused_at or len(self._refused_at) >= NOTES_MAX:
            return
        self._refused_at[domain, key] = now_s
        addresses = self.newcomers[domain]() if domain in self.newcomers else []
        fields: Fields = {
            "door": domain,
            "reason": why,
            "fingerprint": fingerprint(key),
            "address": " or ".join(addresses[:ADDRESSES_MAX]),
            "count": self.counters["doors_refused"],
        }
        trusted = self._keyring.trusted.by_public.get(key)
        if trusted is not None:
            fields["name"] = trusted.name
        self._on_note(Note("key_refused", "warning", fields))
