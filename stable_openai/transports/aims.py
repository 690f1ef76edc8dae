"""What in a request is the pool's to set, where nothing but the request itself says whose it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError
from stable_openai.exchange import Aim
from stable_openai.masking import Secret

if TYPE_CHECKING:
    from stable_openai.keys import Key

__all__ = ["OwnAim", "PreparedAim"]

_OPENAI: Final = "https://api.openai.com/v1"


class OwnAim(Aim):
    """Aims requests of httpx or httpx2.

    Args:
        base_url: The part of an address that stands for the provider. Only requests beneath it get a key; beneath it,
            they move to the endpoint of a key that has its own. None: any request gets a key, and those move that are
            beneath OpenAI's own address.
    """

    __slots__ = ("_is_bound",)

    def __init__(self, base_url: str | None) -> None:
        super().__init__(None, base_url or _OPENAI)
        self._is_bound = base_url is not None

    def covers(self, url: str) -> bool:
        """Whether a request to this address is to get a key."""
        return not self._is_bound or self._base is None or url.startswith(self._base)

    def addressed(self, request: Any, key: Key, model: str | None) -> Any:
        """The same request under a key: a copy. Cookies stay at the address that they are for."""
        copied = super().addressed(request, key, model)
        if copied.url != request.url:
            copied.headers.pop("Cookie", None)
        return copied

    def moved(self, url: str, key: Key, model: str | None) -> str | None:
        """The address under a key; None where it stays the same.

        Raises:
            ConfigurationError: The key is of another endpoint, and nobody has said which part of the address stands for
                it: the key would be shown to a stranger.
        """
        moved = super().moved(url, key, model)
        if moved is None and key.base_url is not None and not url.startswith(key.base_url.rstrip("/") + "/"):
            raise ConfigurationError(
                "base_url",
                f"is needed: {key.name or key.masked} belongs to {key.base_url}, and which part of the request's "
                "address stands for that is not known; give it, as in base_url='https://api.openai.com/v1'",
            )
        return moved


class PreparedAim(OwnAim):
    """Aims prepared requests of requests."""

    __slots__ = ()

    def addressed(self, request: Any, key: Key, model: str | None) -> Any:
        """The same request under a key: a copy. Cookies stay at the address that they are for."""
        copied = request.copy()
        copied.headers["Authorization"] = Secret(f"Bearer {key.secret!s}")
        moved = self.moved(request.url, key, model)
        if moved is not None:
            copied.prepare_url(moved, None)
            for name in ("Cookie", "Host"):
                copied.headers.pop(name, None)
        return copied
