"""What in a request is the pool's to set: the credential, and the endpoint that travels with the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from stable_openai.masking import Secret

if TYPE_CHECKING:
    from stable_openai.keys import Key

__all__ = ["Aim", "AzureAim"]

_BEARER: Final = "Bearer "
_AZURE_ROOT: Final = "/openai/"
_DEPLOYMENTS: Final = "deployments/"
# openai's Azure clients drop the credential where a redirect leaves the origin that they have noted here.
_AZURE_ORIGIN: Final = "openai.azure_auth_origin"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Aim:
    """Where a client's requests go by themselves, and how they are sent under another key.

    Args:
        placeholder: The credential that the client writes by itself; a request with any other is the caller's own, and
            is sent as it is. None: any credential is replaced, or set where there is none.
        base_url: The client's base URL; requests beneath it move to the key's, where the key has one.
    """

    __slots__ = ("_base", "_placeholder")

    def __init__(self, placeholder: str | None, base_url: str | None) -> None:
        self._placeholder = placeholder
        self._base = None if base_url is None else base_url.rstrip("/") + "/"

    def is_ours(self, request: Any) -> bool:
        """Whether a request carries the credential that the client writes by itself."""
        return bool(self._headers(request.headers))

    def _headers(self, headers: Mapping[str, str]) -> list[str]:
        """The headers that carry it: older openai's Azure clients send both."""
        if self._placeholder is None:
            return ["Authorization"]
        written = {"Authorization": _BEARER + self._placeholder, "api-key": self._placeholder}
        return [header for header, value in written.items() if headers.get(header) == value]

    def addressed(self, request: Any, key: Key, model: str | None) -> Any:
        """The same request under a key: itself where it is that already, else a copy, so that the caller's stays.

        Args:
            request: An httpx request.
            key: The key that was granted for it.
            model: The model that it is for.
        """
        moved = self.moved(str(request.url), key, model)
        if moved is None and key.secret == self._placeholder:
            return request
        copied = object.__new__(type(request))
        copied.__dict__.update(request.__dict__)
        copied.headers = request.headers.copy()
        for header in self._headers(request.headers):
            copied.headers[header] = Secret(key.secret if header == "api-key" else f"{_BEARER}{key.secret!s}")
        if moved is not None:
            copied.url = url = type(request.url)(moved)
            copied.headers["Host"] = url.netloc.decode("ascii")
            if _AZURE_ORIGIN in request.extensions:
                origin = (url.scheme, url.host, url.port or _DEFAULT_PORTS.get(url.scheme))
                copied.extensions = {**request.extensions, _AZURE_ORIGIN: origin}
        return copied

    def moved(self, url: str, key: Key, model: str | None) -> str | None:  # noqa: ARG002  # Azure asks for the model
        """The address under a key; None where it stays the same."""
        if key.base_url is None or self._base is None or not url.startswith(self._base):
            return None
        return f"{key.base_url.rstrip('/')}/{url[len(self._base) :]}"


class AzureAim(Aim):
    """As ``Aim``, for Azure's addresses: ``https://…/openai/deployments/<deployment>/…?api-version=…``."""

    __slots__ = ()

    def is_ours(self, request: Any) -> bool:
        """As ``Aim`` has it; an ``api-key`` of the caller's own wins over what older openai sends beside it."""
        own = request.headers.get("api-key")
        return (own is None or own == self._placeholder) and super().is_ours(request)

    def moved(self, url: str, key: Key, model: str | None) -> str | None:
        """The address under a key: its endpoint, and its deployment of the model."""
        endpoint, found, rest = _parts(url)
        if not found:
            return None
        root = endpoint if key.base_url is None else _endpoint(key.base_url)
        deployment = key.deployment.get(model or "") if isinstance(key.deployment, Mapping) else key.deployment
        if deployment is not None and rest.startswith(_DEPLOYMENTS):
            _, _, path = rest.removeprefix(_DEPLOYMENTS).partition("/")
            rest = f"{_DEPLOYMENTS}{deployment}/{path}"
        moved = f"{root}{_AZURE_ROOT}{rest}"
        return None if moved == url else moved


def _endpoint(base_url: str) -> str:
    """An Azure resource's endpoint, of that or of a base URL such as ``https://…/openai``."""
    return _parts(f"{base_url.rstrip('/')}/")[0].rstrip("/")


def _parts(url: str) -> tuple[str, str, str]:
    """The endpoint, Azure's root where it has one, and what is beneath that; a host may be called as the root is."""
    scheme, found, rest = url.partition("://")
    host, root, path = rest.partition(_AZURE_ROOT)
    return f"{scheme}{found}{host}", root, path
