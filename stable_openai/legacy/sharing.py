"""``share_connections``: the openai clients that other code builds share their connections, and don't retry.

Code that builds ``openai.OpenAI(api_key=…)`` for each call pays a TLS context and a new connection each time, and its
client repeats a rejected request twice on the same key. Both come from the constructor, so that is what is replaced.
"""

from __future__ import annotations

import functools
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from stable_openai.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Sharing", "share_connections"]


class Sharing:
    """What ``share_connections()`` returns: it lasts until ``undo()``, or until the end of its ``with`` block."""

    def __init__(self) -> None:
        self._lasts = True

    def undo(self) -> None:
        """End it; a second time changes nothing."""
        with _lock:
            lasts, self._lasts = self._lasts, False
            if lasts:
                _leave()

    def __enter__(self) -> Sharing:
        return self

    def __exit__(self, *failure: object) -> None:
        self.undo()

    def __repr__(self) -> str:
        return f"<share_connections, {'in force' if self._lasts else 'undone'}>"


def share_connections() -> Sharing:
    """Let every openai client that is made from now on share its connections, and make no retries of its own.

    It concerns ``openai.OpenAI``, ``AsyncOpenAI``, ``AzureOpenAI``, ``AsyncAzureOpenAI``, what is derived of them, and
    the functions of the module ``openai`` itself; not clients that exist already. Where a client is made with an
    ``http_client=`` of its own, it keeps that. Its timeout, and all else that it was told, holds as before; but for
    ``max_retries``, which is 0: trying again is what ``@stable`` does, with another key.

    A client's ``close()`` closes that client and no connection of others. Threads share connections by host, tasks by
    host and event loop.

    Use it as a call (``sharing = share_connections()``, later perhaps ``sharing.undo()``) or in a ``with`` block. It
    may be in force several times over, and ends with the last: then openai is as it was, and the connections are
    closed. Clients that were made meanwhile go on working, each request over a connection of its own.

    Returns:
        A handle with ``undo()``.
    """
    with _lock:
        _enter()
    return Sharing()


class _State:
    """What is in force; nothing, at first."""

    def __init__(self) -> None:
        self.users = 0
        self.connections: Connections | None = None
        self.replaced: list[tuple[type, Any, Any]] = []  # class, its own __init__, ours
        self.of_module: dict[str, tuple[Any, Any]] = {}  # variables of the module openai: before, and by us


_state: Final = _State()
_lock: threading.RLock


def _enter() -> None:
    import openai

    _state.users += 1
    if _state.users > 1:
        return
    _state.connections = Connections()
    # All the others, those of Azure included, come to be by way of these two.
    for kind, is_async in ((openai.OpenAI, False), (openai.AsyncOpenAI, True)):
        own = kind.__dict__["__init__"]
        ours = _sharing_init(own, is_async=is_async)
        _state.replaced.append((kind, own, ours))
        kind.__init__ = ours  # type: ignore[method-assign]


def _leave() -> None:
    _state.users -= 1
    if _state.users:
        return
    for kind, own, ours in _state.replaced:
        if kind.__dict__["__init__"] is ours:  # else somebody has replaced it since: ours is without effect from now on
            kind.__init__ = own  # type: ignore[misc]
    connections, _state.connections = _state.connections, None
    _state.replaced = []
    _restore_module()
    if connections is not None:
        connections.close()


def _sharing_init(own: Callable[..., None], *, is_async: bool) -> Callable[..., None]:
    @functools.wraps(own)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807  # it takes its place
        connections = _state.connections
        if connections is not None:
            told: dict[str, Any] = {}
            if kwargs.get("http_client") is None:
                told["http_client"] = connections.async_client() if is_async else connections.client()
            if not getattr(self, "_keeps_retries", False):  # our own clients count other things as retries
                told["max_retries"] = 0
            _remember_module(self, told)
            kwargs.update(told)
        own(self, *args, **kwargs)

    return __init__


# -- the client behind `openai.chat.completions.create` keeps what it is made of in variables of the module


def _remember_module(client: Any, told: dict[str, Any]) -> None:
    import openai

    if isinstance(client, getattr(openai, "_ModuleClient", ())):
        for name, ours in told.items():
            _state.of_module.setdefault(name, (getattr(openai, name), ours))


def _restore_module() -> None:
    import openai

    of_module, _state.of_module = _state.of_module, {}
    for name, (before, ours) in of_module.items():
        if getattr(openai, name) is ours:  # else the user has set it since
            setattr(openai, name, before)
    if of_module:
        openai._reset_client()  # noqa: SLF001  # the next call makes it anew


def _renew_lock() -> None:
    """Take a fresh lock, at first and in a process that was forked while another thread held it."""
    global _lock  # noqa: PLW0603  # one lock a process
    _lock = threading.RLock()


_renew_lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
