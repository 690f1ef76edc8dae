"""Exceptions read by shape, importing none of the libraries that raise them."""

from __future__ import annotations

import errno
import http.client
import json
import re
import socket
import ssl
import urllib.error
from collections.abc import Mapping
from typing import Any, Final

from stable_openai.verdict._origin import (
    SERVER_LIBRARIES,
    came_through_http,
    is_http_library,
    module_of,
    origin_of,
    parsed_by_http,
)
from stable_openai.verdict.answer import Answer, Headers
from stable_openai.verdict.responses import as_status, attribute, body_of, headers_of, read_response, status_of, stored
from stable_openai.verdict.verdicts import Reason

_NETWORK_ERRNOS: Final = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED,
     errno.ENOTCONN, errno.EHOSTDOWN, errno.ENETRESET}
)  # fmt: skip


def _named(names: str) -> re.Pattern[str]:
    """A pattern for whole class names; `*` stands for any letters."""
    return re.compile("(?:" + "|".join(name.replace("*", r"\w*") for name in names.split()) + ")$")


# Names of exception classes of HTTP libraries; the first that is found among the bases decides.
_BY_NAME: Final[tuple[tuple[Reason, re.Pattern[str]], ...]] = (
    (
        Reason.NOT_PROVIDER,
        _named(
            "StreamConsumed ResponseNotRead RequestNotRead StreamClosed StreamError CookieConflict FileModeWarning "
            "InvalidWebhookSignatureError WebSocketQueueFullError UnrewindableBodyError InvalidHeader OpenAIError "
            "SubjectTokenProviderError"
        ),
    ),
    (Reason.CONTENT_FILTER, _named("ContentFilter*Error")),
    (
        Reason.BAD_REQUEST,
        _named(
            "UnsupportedProtocol InvalidURL InvalidSchema MissingSchema LocationParseError LocationValueError "
            "URLSchemeUnknown InvalidProxyURL LengthFinishReasonError NonHttpUrlClientError"
        ),
    ),
    (Reason.TIMEOUT, _named("*Timeout *TimeoutError *TimeoutException")),
    (
        Reason.SERVER_ERROR,
        _named(
            "DecodingError ContentDecodingError DecodeError APIResponseValidationError JSONDecodeError "
            "InvalidJSONError ContentTypeError"
        ),
    ),
    (Reason.NOT_FOUND, _named("TooManyRedirects")),
    (
        Reason.CONNECTION_LOST,
        _named(
            "*Connect*Error *Connection* *ProtocolError ReadError WriteError CloseError NetworkError TransportError "
            "ProxyError SSLError ChunkedEncodingError TransferEncodingError ClientOSError ServerDisconnectedError "
            "ClientPayloadError ClientConnector* ClientError RequestError RequestException MaxRetryError "
            "NameResolutionError IncompleteRead InvalidChunkLength RemoteDisconnected BadStatusLine LineTooLong "
            "HTTPException HTTPError HTTPClientError SocketError EndOfStream BrokenResourceError"
        ),
    ),
    (Reason.SERVER_ERROR, _named("APIError APIServerError ServiceUnavailableError TryAgain")),
)
# openai 0.28 keeps no status for some errors; its classes say what they are.
_LEGACY_STATUS: Final = {
    "RateLimitError": 429, "AuthenticationError": 401, "PermissionError": 403, "InvalidRequestError": 400,
    "ServiceUnavailableError": 503, "Timeout": 408, "APIError": 500, "TryAgain": 409,
}  # fmt: skip
_GATEWAY_PREFIX: Final = re.compile(
    r"^(?:litellm\.)?\w{1,60}Error: (?:(?:litellm\.)?\w{1,60}Error: )?(?:\w{1,60}Exception -? ?)?"
)
_RETRIED_STATUS: Final = re.compile(r"too many (\d{3}) error responses")
_BAD_HEADER: Final = re.compile(r"(?:illegal|invalid) .{0,80}header|header (?:value|part)", re.IGNORECASE)
_AUTHORIZATION: Final = re.compile(r"\b(?:bearer|basic)\b", re.IGNORECASE)


def answer_in(exc: BaseException) -> Answer | None:
    """The provider's answer that an exception carries, None where it carries none."""
    module = module_of(exc)
    root = module.partition(".")[0]
    if root in SERVER_LIBRARIES or module.startswith(("aiohttp.web", "tornado.web")):
        return None
    if aws := _aws_answer(exc):
        return aws
    known = any(is_http_library(str(base.__module__)) for base in type(exc).__mro__)
    response = attribute(exc, "response")
    if response is None:
        response = attribute(exc, "raw_response")
    holder = response if response is not None and status_of(response) is not None else None
    status = status_of(exc)
    if holder is not None and headers_of(holder) is not None:
        return _from_response(exc, holder, root)
    has_headers = headers_of(exc) is not None
    if status is not None and (has_headers or known):
        return Answer(status, Headers(headers_of(exc)), _own_body(exc, root), source=exc)
    return _without_status(exc, module) if known else None


def reason_of(exc: BaseException) -> Reason | None:
    """The reason of an exception that carries no answer; None where it is not the provider's."""
    known = any(is_http_library(str(base.__module__)) for base in type(exc).__mro__)
    if isinstance(exc, json.JSONDecodeError):
        return Reason.SERVER_ERROR if known or parsed_by_http(exc) else None
    if isinstance(exc, (urllib.error.URLError, http.client.HTTPException)):
        return _of_stdlib(exc)
    if known:
        return _unsendable(exc) or _by_name(exc)
    return _of_stdlib(exc)


def _from_response(exc: BaseException, holder: object, root: str) -> Answer:
    answer = read_response(holder)
    if answer.body in (None, b"", "") or root == "litellm":
        own = _own_body(exc, root)
        answer = Answer(answer.status, answer.headers, own if own is not None else answer.body)
    if answer.status is not None and answer.status < 400:  # noqa: PLR2004
        # A refusal that was wrapped in another status keeps the status of the exception.
        answer = Answer(as_status(attribute(exc, "status_code")) or answer.status, answer.headers, answer.body)
    return Answer(answer.status, answer.headers, answer.body, source=exc)


def _own_body(exc: BaseException, root: str) -> Any:
    """The body that the exception itself keeps, else its message."""
    if root != "litellm":
        body = body_of(exc)
        if body not in (None, b"", ""):
            return body
    message = attribute(exc, "message")
    text = message if isinstance(message, str) and message else _text(exc)
    if root == "litellm":
        # The library itself names the provider there; from a gateway the same words speak of the gateway's key.
        text = _GATEWAY_PREFIX.sub("", text[:20_000], count=1)
    return text


def _without_status(exc: BaseException, module: str) -> Answer | None:
    """An error event inside a stream has a body and no status; openai 0.28 tells by its class."""
    names = {base.__name__ for base in type(exc).__mro__}
    if module == "openai.error":
        status = next((_LEGACY_STATUS[name] for name in _LEGACY_STATUS if type(exc).__name__ == name), None)
        return Answer(status, Headers(headers_of(exc)), _own_body(exc, "openai"), source=exc) if status else None
    if match := _RETRIED_STATUS.search(_text(exc)):
        return Answer(int(match[1]), Headers(), _text(exc), source=exc)
    if type(exc).__name__ == "APIError" or (
        "APIError" in names and not names & {"APIConnectionError", "APIStatusError"}
    ):
        body = stored(exc, "body")
        message = attribute(exc, "message")
        return Answer(
            None, Headers(), {"error": body, "message": message} if body else _own_body(exc, "openai"), source=exc
        )
    return None


def _aws_answer(exc: BaseException) -> Answer | None:
    """Botocore's ClientError keeps the answer as a mapping."""
    response = stored(exc, "response")
    if not isinstance(response, Mapping) or not isinstance(meta := response.get("ResponseMetadata"), Mapping):
        return None
    status = as_status(meta.get("HTTPStatusCode"))
    return Answer(status, Headers(meta.get("HTTPHeaders")), response.get("Error"), source=exc) if status else None


def _by_name(exc: BaseException) -> Reason:
    for base in type(exc).__mro__:
        if base.__name__ in {"Exception", "BaseException", "object"}:
            break
        for reason, names in _BY_NAME:
            if names.match(base.__name__):
                return reason
    return Reason.NOT_PROVIDER


def _of_stdlib(exc: BaseException) -> Reason | None:  # noqa: PLR0911  # one return for each family
    """Exceptions that the standard library raises for the network, unless they arose elsewhere."""
    if isinstance(exc, http.client.HTTPException):
        return (
            Reason.NOT_PROVIDER
            if isinstance(exc, (http.client.InvalidURL, http.client.CannotSendRequest))
            else Reason.CONNECTION_LOST
        )
    if isinstance(exc, urllib.error.URLError):
        if isinstance(exc.reason, TimeoutError):
            return Reason.TIMEOUT
        return Reason.BAD_REQUEST if "unknown url type" in str(exc.reason) else Reason.CONNECTION_LOST
    if _is_timeout(exc):
        return _of_timeout(exc)
    if isinstance(exc, (socket.gaierror, socket.herror, ssl.SSLError, ConnectionError)) or (
        isinstance(exc, OSError) and exc.errno in _NETWORK_ERRNOS
    ):
        origin = origin_of(exc)
        if origin == "foreign" or (origin == "own" and isinstance(exc, BrokenPipeError)):
            return None
        return Reason.CONNECTION_LOST
    if type(exc).__name__ == "IncompleteReadError" and came_through_http(exc):
        return Reason.CONNECTION_LOST
    return None


def _is_timeout(exc: BaseException) -> bool:
    """The built-in one; on Python 3.10 asyncio and concurrent.futures have their own."""
    return isinstance(exc, TimeoutError) or (
        type(exc).__name__ == "TimeoutError" and module_of(exc).startswith(("asyncio", "concurrent.futures"))
    )


def _of_timeout(exc: BaseException) -> Reason | None:
    """A timeout is the provider's when it arose in network code or cut a wait for it; a user's own `raise` is not."""
    if origin_of(exc) in {"http", "socket", "unknown"}:
        return Reason.TIMEOUT
    # asyncio.timeout and wait_for raise in asyncio; the cancellation that they cause tells what was waited for. On
    # Python 3.10 that is the context of a second one.
    link = exc.__cause__ or exc.__context__
    for _ in range(4):
        if link is None or type(link).__name__ != "CancelledError":
            return None
        if came_through_http(link):
            return Reason.TIMEOUT
        link = link.__cause__ or link.__context__
    return None


def _unsendable(exc: BaseException) -> Reason | None:
    """A request that the HTTP library itself refuses: a key with a line break or none at all, a bad address."""
    link: BaseException | None = exc
    for _ in range(4):
        if link is None:
            return None
        if type(link).__name__ in {"UnsupportedProtocol", "InvalidURL"}:
            return Reason.BAD_REQUEST
        if type(link).__name__ in {"LocalProtocolError", "InvalidHeader"} and _BAD_HEADER.search(text := _text(link)):
            return Reason.INVALID_KEY if _AUTHORIZATION.search(text) else Reason.BAD_REQUEST
        link = link.__cause__
    return None


def _text(exc: BaseException) -> str:
    try:
        return str(exc)[:20_000]
    except Exception:  # noqa: BLE001  # a foreign __str__ may raise anything
        return ""
