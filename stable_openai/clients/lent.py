"""The clients that decorated functions are given: bound to the key of one attempt, over the pool's connections."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import openai

from stable_openai.connections import Connections
from stable_openai.exchange import Aim, AzureAim, Observation, aobserve, observe

from .seams import AsyncSeam, SyncSeam

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from stable_openai.failover.attempts import Attempt
    from stable_openai.keys import Key

__all__ = ["Clients"]

_MOST: Final = 1024  # clients that are kept ready: one for each key, endpoint and kind
_AZURE_PATH: Final = "/openai"


class _Lent:
    """Mixed into a subclass of one of openai's clients: what its requests meet reaches the attempt that it is lent to.

    One without an attempt is a template, from which those that are lent are made: they share nothing that changes.
    """

    _attempt: Attempt | None = None
    _aims: ClassVar[type[Aim]] = Aim

    def lent_to(self, attempt: Attempt) -> Self:
        """The same client for one attempt, in a few microseconds."""
        made = object.__new__(type(self))
        for name, value in vars(self).items():
            made.__dict__[name] = type(value)(made) if _belongs_to(value, self) else value
        made._attempt = attempt
        return made

    def _begin(self, options: Any) -> Observation | None:
        attempt = self._attempt
        if attempt is None:
            return None
        body = options.json_data
        model = body.get("model") if isinstance(body, Mapping) else None
        aim = self._aims(attempt.key.secret, str(self.base_url))  # type: ignore[attr-defined]  # openai's own
        return Observation(attempt, aim, model if isinstance(model, str) else None)

    def copy(self, **options: Any) -> Self:
        """As openai has it; the copy belongs to the same attempt."""
        made: Self = super().copy(**options)  # type: ignore[misc]  # openai's own
        made._attempt = self._attempt
        return made

    with_options = copy


def _belongs_to(value: Any, client: Any) -> bool:
    """Whether a value is one of the resources that openai before 1.50 makes with the client."""
    return getattr(value, "_client", None) is client or type(value).__name__.endswith(
        ("OpenAIWithRawResponse", "OpenAIWithStreamedResponse")
    )


class LentOpenAI(_Lent, SyncSeam, openai.OpenAI):
    """An ``openai.OpenAI``."""

    _drive = staticmethod(observe)

    def close(self) -> None:
        """Close this client alone: the connections are the pool's."""
        self._client = _closed(self._client)


class LentAsyncOpenAI(_Lent, AsyncSeam, openai.AsyncOpenAI):
    """An ``openai.AsyncOpenAI``."""

    _drive = staticmethod(aobserve)

    async def close(self) -> None:
        """Close this client alone: the connections are the pool's."""
        self._client = await _aclosed(self._client)


class LentAzureOpenAI(_Lent, SyncSeam, openai.AzureOpenAI):
    """An ``openai.AzureOpenAI``."""

    _drive = staticmethod(observe)
    _aims = AzureAim
    close = LentOpenAI.close


class LentAsyncAzureOpenAI(_Lent, AsyncSeam, openai.AsyncAzureOpenAI):
    """An ``openai.AsyncAzureOpenAI``."""

    _drive = staticmethod(aobserve)
    _aims = AzureAim
    close = LentAsyncOpenAI.close


def _closed(client: Any) -> Any:
    own = type(client)(transport=client._transport)  # noqa: SLF001  # shared: httpx has no other way to it
    own.close()
    return own


async def _aclosed(client: Any) -> Any:
    own = type(client)(transport=client._transport)  # noqa: SLF001
    await own.aclose()
    return own


class Clients:
    """The clients of one pool, made once for each key and kind, over connections that all of them share."""

    def __init__(self) -> None:
        self._connections = Connections()
        self._http: dict[str, Any] = {}
        self._templates: OrderedDict[tuple[str, str, str | None], _Lent] = OrderedDict()
        self._making = threading.Lock()

    def lend(self, kind: str, attempt: Attempt) -> Any:
        """A client for one attempt.

        Args:
            kind: The class's name: ``"OpenAI"``, ``"AsyncOpenAI"``, ``"AzureOpenAI"`` or ``"AsyncAzureOpenAI"``.
            attempt: Whose key it is bound to, and who hears of the answers.
        """
        key = attempt.key
        place = (kind, key.secret, key.base_url)
        template = self._templates.get(place)
        if template is None:
            with self._making:
                template = self._templates.get(place)
                if template is None:
                    template = self._templates[place] = self._make(kind, key)
                while len(self._templates) > _MOST:
                    self._templates.popitem(last=False)
        return template.lent_to(attempt)

    def _make(self, kind: str, key: Key) -> _Lent:
        connect: Callable[[], Any] = (
            self._connections.async_client if kind.startswith("Async") else self._connections.client
        )
        flavour = "async" if kind.startswith("Async") else "sync"
        http_client = self._http.get(flavour)
        if http_client is None:
            http_client = self._http[flavour] = connect()
        options: dict[str, Any] = {"api_key": key.secret, "max_retries": 0, "http_client": http_client}
        if key.base_url is not None:
            azure = "Azure" in kind
            options["azure_endpoint" if azure else "base_url"] = (
                key.base_url.partition(_AZURE_PATH)[0] if azure else key.base_url
            )
        made: _Lent = _KINDS[kind](**options)
        return made

    def close(self) -> None:
        """Close the connections."""
        self._templates.clear()
        self._connections.close()

    async def aclose(self) -> None:
        """Close the connections; those of the loop that runs are closed when this returns."""
        self._templates.clear()
        await self._connections.aclose()


_KINDS: Final[dict[str, Callable[..., Any]]] = {
    "OpenAI": LentOpenAI,
    "AsyncOpenAI": LentAsyncOpenAI,
    "AzureOpenAI": LentAzureOpenAI,
    "AsyncAzureOpenAI": LentAsyncAzureOpenAI,
}
