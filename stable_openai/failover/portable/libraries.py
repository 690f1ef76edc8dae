"""Requests and responses of HTTP libraries, made again without what is secret in them, by the names of their classes.

None of these libraries is imported here: who has one of its objects has imported it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from .credentials import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from .parts import Cleaner

__all__ = ["cleaned_by"]

_COOKIES: Final = ("set-cookie", "set-cookie2")
# What httpx keeps of a response whose connection is gone.
_OF_A_RESPONSE: Final = ("status_code", "is_stream_consumed", "_num_bytes_downloaded", "_elapsed", "_encoding")


def cleaned_by(kind: type) -> Callable[[Any, Cleaner], Any] | None:
    """What makes an object of this class clean; None where there is no need, or no way."""
    for base in kind.__mro__:
        clean = _CLEANERS.get((base.__module__.partition(".")[0], base.__name__))
        if clean is not None:
            return clean
    return None


def _request(request: Any, cleaner: Cleaner) -> Any:
    return type(request)(request.method, cleaner.address(request.url))


def _response(response: Any, cleaner: Cleaner) -> Any:
    kept = vars(response)
    state = {name: kept[name] for name in _OF_A_RESPONSE if name in kept}
    state.update({name: cleaner.masked(kept[name]) for name in ("_content", "_text") if name in kept})
    headers, request, encoding = response.headers, kept.get("_request"), kept.get("default_encoding")
    lines = [(name, cleaner.masked(value)) for name, value in headers.raw if _is_kept(name)]
    state["headers"] = type(headers)(lines)
    state["_request"] = None if request is None else _request(request, cleaner)
    state["history"] = [_response(one, cleaner) for one in response.history]
    state["next_request"] = None
    state["default_encoding"] = encoding if isinstance(encoding, str) else "utf-8"
    made = object.__new__(type(response))
    made.__setstate__(state)  # as it is unpickled
    return made


def _prepared_request(request: Any, cleaner: Cleaner) -> Any:
    made = type(request)()
    made.method, made.url = request.method, cleaner.address(request.url)
    made.headers = type(request.headers)()
    return made


def _requests_response(response: Any, cleaner: Cleaner) -> Any:
    request = response.request
    made = object.__new__(type(response))
    made.__setstate__({
        "_content": cleaner.masked(response._content) if response._content else response._content,  # noqa: SLF001  # as it is pickled
        "status_code": response.status_code,
        "url": cleaner.address(response.url),
        "headers": _headers(response.headers, cleaner),
        "history": [_requests_response(one, cleaner) for one in response.history],
        "encoding": response.encoding,
        "reason": response.reason,
        "cookies": type(response.cookies)(),
        "elapsed": response.elapsed,
        "request": None if request is None else _prepared_request(request, cleaner),
    })  # fmt: skip
    return made


def _request_info(info: Any, cleaner: Cleaner) -> Any:
    kind = type(info.url)
    url, real_url = (kind(cleaner.address(each)) for each in (info.url, info.real_url))
    headers = info.headers.copy()  # a proxy of them can't be pickled
    headers.clear()
    return type(info)(url, info.method, headers, real_url)


def _headers(headers: Any, cleaner: Cleaner) -> Any:
    made = headers.copy()  # as above
    made.clear()
    add = getattr(made, "add", made.__setitem__)  # where there may be several of one name
    for name, value in headers.items():
        if _is_kept(name):
            add(name, cleaner.masked(value))
    return made


def _is_kept(header: Any) -> bool:
    name = header.decode("latin-1") if isinstance(header, bytes) else str(header)
    return name.lower() not in _COOKIES


def _basic_auth(auth: Any, cleaner: Cleaner) -> Any:  # noqa: ARG001  # as all of them are called
    return type(auth)(auth.login, HIDDEN)


def _nothing_to_read(closer: Any, cleaner: Cleaner) -> Any:  # noqa: ARG001
    return io.BytesIO()


def _url(url: Any, cleaner: Cleaner) -> Any:
    return type(url)(cleaner.address(url))


_CLEANERS: Final[dict[tuple[str, str], Callable[[Any, Cleaner], Any]]] = {
    ("httpx", "Request"): _request,
    ("httpx", "Response"): _response,
    ("httpx", "URL"): _url,
    ("httpx2", "Request"): _request,
    ("httpx2", "Response"): _response,
    ("httpx2", "URL"): _url,
    ("requests", "Request"): _request,
    ("requests", "PreparedRequest"): _prepared_request,
    ("requests", "Response"): _requests_response,
    ("tempfile", "_TemporaryFileCloser"): _nothing_to_read,  # urllib's HTTPError has one
    ("aiohttp", "RequestInfo"): _request_info,
    ("aiohttp", "BasicAuth"): _basic_auth,
    ("yarl", "URL"): _url,
    ("multidict", "CIMultiDictProxy"): _headers,
    ("multidict", "CIMultiDict"): _headers,
}
