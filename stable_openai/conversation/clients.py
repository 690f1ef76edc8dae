"""The clients of a conversation, over connections that all conversations of a process share."""

from __future__ import annotations

import functools
import inspect
import threading
from typing import TYPE_CHECKING, Any, Final

from stable_openai.connections import Connections
from stable_openai.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from stable_openai.clients.openai_clients import AsyncOpenAI, OpenAI

__all__ = ["ChatClients", "check_request_options", "split_options", "split_request_options"]

_connections: Final = Connections()
_RESERVED: Final = frozenset({"messages", "stream", "affinity"})


@functools.cache
def _client_options() -> frozenset[str]:
    from stable_openai.clients.openai_clients import OpenAI

    names = inspect.signature(OpenAI.__init__).parameters
    return frozenset(name for name in names if name != "self" and not name.startswith("_"))


@functools.cache
def _request_options() -> frozenset[str]:
    from openai.resources.chat.completions import Completions

    return frozenset(inspect.signature(Completions.create).parameters) - {"self", "messages", "stream"}


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell the options of the client from those of its requests; what both have, as ``timeout``, is the client's.

    Raises:
        ConfigurationError: One is of neither; the message names it.
    """
    client = {name: value for name, value in options.items() if name in _client_options() - _RESERVED}
    request = {name: value for name, value in options.items() if name not in client}
    check_request_options(request)
    return client, request


def split_request_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same for one request, of which ``timeout`` is its own.

    Raises:
        ConfigurationError: One is of neither; the message names it.
    """
    if not options:
        return {}, {}
    request = {name: value for name, value in options.items() if name in _request_options()}
    client, unknown = split_options({name: value for name, value in options.items() if name not in request})
    return client, {**request, **unknown}


def check_request_options(options: Mapping[str, Any]) -> None:
    """Refuse what ``chat.completions.create`` does not take.

    Raises:
        ConfigurationError: The message names it.
    """
    for name in options:
        if name in _RESERVED:
            raise ConfigurationError(name, "is the conversation's own business")
        if name not in _request_options():
            raise ConfigurationError(
                name, "is no parameter of openai.OpenAI, nor of chat.completions.create in this version of openai"
            )


class ChatClients:
    """The sync and the async client of one conversation, made when they are asked for.

    Args:
        api_key: A key, a list of keys, a pool, or None.
        options: What else the clients take.
        affinity: What keeps the conversation on one key.
    """

    def __init__(self, api_key: Any, options: Mapping[str, Any], affinity: Hashable) -> None:
        self._options = _with_keys({"affinity": affinity, **options}, api_key)
        self._making = threading.Lock()
        self._sync: OpenAI | None = None
        self._async: AsyncOpenAI | None = None

    @property
    def sync(self) -> OpenAI:
        """The client for threads."""
        with self._making:
            if self._sync is None:
                from stable_openai.clients.openai_clients import OpenAI

                self._sync = OpenAI(**{"http_client": _connections.client(), **self._options})
            return self._sync

    def sync_with(self, options: Mapping[str, Any]) -> OpenAI:
        """The client for threads, with other options for one request."""
        if not options:
            return self.sync
        from stable_openai.clients.openai_clients import OpenAI

        return OpenAI(**{"http_client": _connections.client(), **self._changed(options)})

    @property
    def asynchronous(self) -> AsyncOpenAI:
        """The client for tasks, of any event loop."""
        with self._making:
            if self._async is None:
                from stable_openai.clients.openai_clients import AsyncOpenAI

                self._async = AsyncOpenAI(**{"http_client": _connections.async_client(), **self._options})
            return self._async

    def async_with(self, options: Mapping[str, Any]) -> AsyncOpenAI:
        """The client for tasks, with other options for one request."""
        if not options:
            return self.asynchronous
        from stable_openai.clients.openai_clients import AsyncOpenAI

        return AsyncOpenAI(**{"http_client": _connections.async_client(), **self._changed(options)})

    def _changed(self, options: Mapping[str, Any]) -> dict[str, Any]:
        changed = {**self._options, **options}
        return _with_keys(changed, options.get("api_key")) if options.keys() & {"api_key", "pool"} else changed


def _with_keys(options: dict[str, Any], api_key: Any) -> dict[str, Any]:
    """Client options with one pool for both kinds of client, wherever the keys were given."""
    from stable_openai.clients.sources import as_pool

    pool = options.pop("pool", None)
    if pool is not None and api_key is not None:
        raise ConfigurationError("api_key", "is given together with pool: give the keys in one of the two")
    return {**options, "api_key": as_pool(api_key if pool is None else pool)}
