"""Stand-ins for ZeroMQ sockets, for drills of code that uses them: two queues and some options.

A drill puts what arrives into `coming` and reads what was sent from `sent`. Only the methods and
options that the drilled code uses exist.
"""

from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import cast

import zmq

from node.sockets.pump import RawContext, RawSocket

_numbers = count(10_000)  # descriptors, which are compared only


class Part:
    """A frame, of a connection that has ended."""

    def __init__(self, data: bytes) -> None:
        self.bytes = data

    def __len__(self) -> int:
        return len(self.bytes)

    def get(self, _: str) -> str:
        return "no number"


class Socket:
    """Receives from `coming`, and appends to `sent` until `room` messages are sent."""

    def __init__(self) -> None:
        self.fd = next(_numbers)
        self.options: dict[int, object] = {}
        self.coming: deque[list[bytes]] = deque()
        self.sent: list[list[bytes]] = []
        self.room = 1 << 60  # messages that are taken
        self.gone: set[bytes] = set()  # routing ids of closed connections
        self.closed = False
        self.at = ""
        self.monitor: Socket | None = None
        self._rest: list[bytes] = []

    @property
    def as_zmq(self) -> RawSocket:
        return cast(RawSocket, self)

    def setsockopt(self, option: int, value: object) -> None:
        self.options[option] = value

    def getsockopt(self, option: int) -> int:
        if option == zmq.FD:
            return self.fd
        if option == zmq.RCVMORE:
            return bool(self._rest)
        assert option == zmq.EVENTS
        return (zmq.POLLIN if self.coming else 0) | (zmq.POLLOUT if self.room > 0 else 0)

    def recv(self, _: int = 0, copy: bool = True) -> bytes | Part:
        if not self._rest:
            if not self.coming:
                raise zmq.Again
            self._rest = list(self.coming.popleft())
        data = self._rest.pop(0)
        return data if copy else Part(data)

    def recv_multipart(self, _: int = 0, copy: bool = True) -> list[bytes] | list[Part]:
        if not self.coming:
            raise zmq.Again
        parts = self.coming.popleft()
        return parts if copy else [Part(one) for one in parts]

    def send(self, data: bytes, _: int = 0) -> None:
        self.send_multipart([data])

    def send_multipart(self, parts: Sequence[bytes], _: int = 0) -> None:
        if parts[0] in self.gone:
            raise zmq.ZMQError(zmq.EHOSTUNREACH)
        if self.room <= 0:
            raise zmq.Again
        self.room -= 1
        self.sent.append(list(parts))

    def get_monitor_socket(self, _: int) -> "Socket":
        self.monitor = Socket()
        return self.monitor

    def disable_monitor(self) -> None:
        pass

    def connect(self, at: str) -> None:
        self.at = at

    def bind(self, at: str) -> None:
        assert not self.at
        self.at = at

    def unbind(self, at: str) -> None:
        assert self.at == at
        self.at = ""

    def close(self, linger: int = 0) -> None:
        assert linger >= 0
        self.closed = True


class Context:
    def __init__(self) -> None:
        self.sockets: list[Socket] = []

    @property
    def as_zmq(self) -> RawContext:
        return cast(RawContext, self)

    def socket(self, _: int) -> Socket:
        self.sockets.append(Socket())
        return self.sockets[-1]
