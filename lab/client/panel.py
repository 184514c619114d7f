"""Sends the same request to many nodes at once: statuses for `ps`, frontiers for `wait` and `diff`.

A `Panel` keeps a connection to each reachable node, drops it when it breaks, and connects again for
the next request. A node that does not answer in time is missing from the result. That is no error,
because some nodes of a cluster may be down.
"""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Self

import zmq
from msgspec.structs import replace

from lab.client.client import Client, Unreachable
from lab.client.location import NodeLocation
from node.control.messages import FrontierPage, ReadFrontier, ReadStatus, Reply, Request, Status

ASK_TIMEOUT_S = 1.0


class Panel:
    def __init__(self, places: Iterable[NodeLocation]) -> None:
        self._places = {at.name: at for at in places}
        self._context = zmq.Context()
        self._clients: dict[str, Client] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._clients):
            self._drop(name)
        self._context.term()

    def ask(
        self, make: Callable[[int], Request], timeout_s: float = ASK_TIMEOUT_S
    ) -> dict[str, Reply]:
        """One question to each node; the answers that came in time."""
        asked: dict[str, int] = {}
        for name in self._places:
            client = self._client(name)
            if client is None:
                continue
            request = make(client.new_id())
            try:
                client.submit([request])
            except Unreachable:
                self._drop(name)
                continue
            asked[name] = request.id
        return self._collect(asked, time.monotonic() + timeout_s)

    def _collect(self, asked: dict[str, int], until: float) -> dict[str, Reply]:
        answers: dict[str, Reply] = {}
        while asked and time.monotonic() < until:
            for name in list(asked):
                share_s = min(0.02, max(0.0, until - time.monotonic()))
                try:
                    replies = self._clients[name].replies(share_s)
                except Unreachable:
                    self._drop(name)
                    del asked[name]
                    continue
                for reply in replies:
                    if reply.id == asked.get(name):
                        answers[name] = reply
                        del asked[name]
        return answers

    def _client(self, name: str) -> Client | None:
        if name not in self._clients:
            try:
                self._clients[name] = Client.at(self._places[name], self._context)
            except Unreachable:
                return None
        return self._clients[name]

    def _drop(self, name: str) -> None:
        client = self._clients.pop(name, None)
        if client is not None:
            client.close()


def statuses_of(
    places: Iterable[NodeLocation], timeout_s: float = ASK_TIMEOUT_S
) -> dict[str, Status]:
    """Who answers, and what it says of itself."""
    with Panel(places) as panel:
        answers = panel.ask(ReadStatus, timeout_s)
    return {name: reply for name, reply in answers.items() if type(reply) is Status}


def status_of(place: NodeLocation, timeout_s: float = ASK_TIMEOUT_S) -> Status | None:
    return statuses_of([place], timeout_s).get(place.name)


def frontiers_of(
    places: Iterable[NodeLocation], timeout_s: float = ASK_TIMEOUT_S
) -> dict[str, FrontierPage]:
    """All pages of each as one: the root is that of the last."""
    whole: dict[str, FrontierPage] = {}
    with Panel(places) as panel:
        while True:
            most = max((len(page.logs) for page in whole.values()), default=0)
            if whole and all(len(page.logs) >= page.total for page in whole.values()):
                return whole
            answers = panel.ask(partial(_page_of_logs, offset=most), timeout_s)
            got = {name: one for name, one in answers.items() if type(one) is FrontierPage}
            if not any(page.logs for page in got.values()):
                return whole or got
            for name, page in got.items():
                logs = [*whole[name].logs, *page.logs] if name in whole else page.logs
                whole[name] = replace(page, logs=logs)


def _page_of_logs(number: int, offset: int) -> ReadFrontier:
    return ReadFrontier(number, offset)
