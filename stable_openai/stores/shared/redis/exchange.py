"""One call of a script, over a connection that is kept: quick where all is well, careful where it is not.

What fails after it was sent may have been done all the same. A connection that was kept and turns out dead is replaced
and the call sent once more: its caller copes with an entry that is there twice. After a time-out nothing is sent again.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from stable_openai.stores.shared.journal import Lost

from .errors import code_of, told
from .wire import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .links import Link
    from .scripts import Script
    from .wire import Wire

__all__ = ["Exchange"]

_HOPS: Final = 5
_FIRST_PAUSE_S: Final = 0.005
_LONGEST_PAUSE_S: Final = 0.1
_ELSEWHERE: Final = frozenset({"READONLY", "MASTERDOWN", "LOADING"})  # another server may be the master by now
_MOVING: Final = frozenset({"TRYAGAIN", "CLUSTERDOWN"})  # a slot is half on one node and half on the other, or on none


class Exchange:
    """The connection of a journal, and the calls over it; one thread at a time.

    Args:
        link: Which server to talk to.
        namespace: The pool's, for messages.
        timeout: Seconds to connect, and seconds for an answer.
    """

    def __init__(self, link: Link, namespace: str, timeout: float) -> None:
        self._link = link
        self._namespace = namespace
        self._timeout = timeout
        self._wire: Wire | None = None
        self._closed = threading.Event()

    def call(self, script: Script, arguments: Sequence[bytes]) -> Any:
        """Run a script, and return its answer.

        Raises:
            Lost: There is no answer, or not now.
            StoreError: The server refuses for good.
        """
        wire = self._wire
        if wire is None:
            return self._call_carefully(script, arguments, None)
        try:
            wire.send(script.command(arguments))
            return wire.read()
        except Exception as error:  # noqa: BLE001
            return self._call_carefully(script, arguments, error)
        except BaseException:
            self._drop()  # its answer may still come
            raise

    @property
    def is_closed(self) -> bool:
        """Whether it is over."""
        return self._closed.is_set()

    def close(self) -> None:
        """Close the connection, and open no other."""
        self._closed.set()
        self._drop()

    def _drop(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    # -- where something is not as it was

    def _call_carefully(self, script: Script, arguments: Sequence[bytes], error: Exception | None) -> Any:
        call = _Call(script, arguments, time.monotonic() + 2 * self._timeout)
        try:
            while error is None or self._may_go_on(call, error):
                try:
                    return self._ask(call, *call.asked) if call.asked else self._try(call)
                except Exception as problem:  # noqa: BLE001
                    error = problem
            if not isinstance(error, Refused):
                self._drop()
            raise self._told(error) from error
        except BaseException as failure:
            if not isinstance(failure, Exception):
                self._drop()  # its answer may still come
            raise
        finally:
            del error  # it knows this frame, and this frame it

    def _told(self, error: Exception) -> Exception:
        if self._closed.is_set():
            return Lost(f"{self._link.place}: the journal was closed")
        if self._link.follows and code_of(error) in {"MOVED", "ASK"}:
            return Lost(f"{self._link.place}: the nodes of the cluster don't agree on which of them has the journal")
        return told(error, self._link.place, self._namespace, self._timeout)

    def _may_go_on(self, call: _Call, error: Exception) -> bool:
        """Whether to try once more after this; if so, all is prepared for it."""
        code = code_of(error)
        call.asked = None
        if isinstance(error, TimeoutError):
            self._link.avoid()
            return False
        if self._closed.is_set() or time.monotonic() >= call.deadline:
            return False
        if code == "NOSCRIPT" and not call.in_full:
            call.in_full = True
            return True
        if self._link.follows and code in {"MOVED", "ASK", *_MOVING}:
            self._follow(call, code, error)
            return True
        is_stale = call.is_kept and isinstance(error, OSError)
        if (is_stale or code in _ELSEWHERE) and not call.is_renewed:
            call.is_renewed = True
            self._drop()
            return True
        return False

    def _follow(self, call: _Call, code: str, error: Exception) -> None:
        """Go where the cluster says, or wait until it knows."""
        call.hops += 1
        if code in _MOVING or call.hops > _HOPS:
            self._closed.wait(call.pause)
            call.pause = min(2 * call.pause, _LONGEST_PAUSE_S)
        if code in _MOVING:
            if code == "CLUSTERDOWN":  # it may be this node alone that is cut off
                self._link.avoid()
                self._drop()
            return
        host, _, port = str(error).rpartition(" ")[2].rpartition(":")
        node = host or (self._wire.host if self._wire else ""), int(port)
        if code == "ASK":
            call.asked = node
        else:
            self._link.moved(*node)
            self._drop()

    def _try(self, call: _Call) -> Any:
        call.is_kept = self._wire is not None
        if self._wire is None:
            self._wire = self._link.connect()
        if self._closed.is_set():
            raise ConnectionError
        self._wire.send(call.command())
        return self._wire.read()

    def _ask(self, call: _Call, host: str, port: int) -> Any:
        """Ask the node to which the slot is moving, just this once."""
        call.is_kept = False
        wire = self._link.connect_to(host, port)
        try:
            wire.ask(b"ASKING")
            wire.send(call.command())
            return wire.read()
        finally:
            wire.close()


class _Call:
    """What is known of a call that needs care."""

    __slots__ = (
        "_arguments", "_script", "asked", "deadline", "hops", "in_full", "is_kept", "is_renewed", "pause",
    )  # fmt: skip

    def __init__(self, script: Script, arguments: Sequence[bytes], deadline: float) -> None:
        self._script = script
        self._arguments = arguments
        self.deadline = deadline
        self.in_full = False
        self.is_kept = True
        self.is_renewed = False
        self.hops = 0
        self.asked: tuple[str, int] | None = None
        self.pause = _FIRST_PAUSE_S

    def command(self) -> bytes:
        return self._script.command(self._arguments, in_full=self.in_full)
