"""A tiny control server, so that clients can be tested without a node. Runs in a thread."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import zmq

from node.control.messages import Reply, Request, requests_decoder

Answer = Callable[[Request], Iterable[Reply]]


class FakeNode:
    """Answers each request with whatever `answer` returns, in frames of one reply list each."""

    def __init__(self, control: Path, answer: Answer) -> None:
        self.control = str(control)
        self.answer = answer
        self.frames: list[int] = []  # requests per frame
        self.requests: list[Request] = []
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(f"ipc://{control}")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        self._socket.close(linger=0)
        self._context.term()

    def _serve(self) -> None:
        while not self._stop.is_set():
            if not self._socket.poll(10):
                continue
            sender, frame = self._socket.recv_multipart()
            requests = requests_decoder.decode(frame)
            self.frames.append(len(requests))
            self.requests.extend(requests)
            replies = [reply for request in requests for reply in self.answer(request)]
            if replies:
                self._socket.send_multipart([sender, msgspec.msgpack.encode(replies)])
