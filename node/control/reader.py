"""Answers requests other than commands: reads, from the views; and changes of link faults.

Every request gets a reply. A view that raises answers `Failed internal` and writes a note; a
journal that cannot be read answers `Failed storage_error` and reports the damage (`on_damage`).
"""

from collections.abc import Callable
from typing import Protocol

from node.control.answers import Question, Read
from node.control.messages import ClearFaults, Done, Failed, Reply, SetFault
from node.core.ports import Note
from node.network.link_faults import FaultError, FaultTable
from node.storage.files import StorageError


class Views(Protocol):
    def answer(self, request: Read) -> Reply: ...


class Reader:
    """Nothing raises: what cannot be answered is `Failed`, with the reason."""

    def __init__(
        self,
        views: Views,
        faults: FaultTable,
        on_note: Callable[[Note], None],
        on_damage: Callable[[StorageError], None],
    ) -> None:
        self._views = views
        self._faults = faults
        self._on_note = on_note
        self._on_damage = on_damage

    def answer(self, request: Question) -> Reply:
        if type(request) is SetFault:
            return self._set_fault(request)
        if type(request) is ClearFaults:
            self._faults.clear()
            self._on_note(Note("faults_cleared", "warning", {}))
            return Done(request.id)
        try:
            return self._views.answer(request)
        except StorageError as error:
            self._on_damage(error)
            return Failed(request.id, "storage_error", str(error))
        except Exception as error:  # a view that fails must not take commands down with it
            text = f"{type(error).__name__}: {error}"
            self._on_note(Note("view_failed", "error", {"error": text}))
            return Failed(request.id, "internal", f"cannot be shown: {text}")

    def _set_fault(self, request: SetFault) -> Reply:
        try:
            self._faults.change(
                request.peers,
                blocked=request.blocked,
                loss=request.loss,
                duplicate=request.duplicate,
                delay_ms=request.delay_ms,
                jitter_ms=request.jitter_ms,
            )
        except FaultError as error:
            return Failed(request.id, "bad_request", str(error))
        text = {peer: self._faults.text(peer) for peer in self._faults.peers}
        shown = [f"{peer}: {fault}" for peer, fault in text.items() if fault]
        self._on_note(Note("faults_set", "warning", {"faults": shown}))
        return Done(request.id)
