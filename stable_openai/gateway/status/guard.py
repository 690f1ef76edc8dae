"""Who may come in, and whether a form is from a page of ours."""

from __future__ import annotations

import asyncio
import math
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from stable_openai.serving import is_local

from .denied import Denied
from .sessions import Attempts, Sessions, csrf_of, is_csrf_of, new_id

if TYPE_CHECKING:
    from stable_openai.clock import Clock
    from stable_openai.gateway.gateway import Gateway
    from stable_openai.serving import Siblings, Token

    from .settings import StatusOptions

__all__ = ["CALLER", "Caller", "Guard"]

CALLER: ContextVar[str] = ContextVar("stable_openai.status.caller")
"""The name of whoever has sent the request that is answered, for the log."""
_COOKIE: Final = "stable_openai_status"
_PATH: Final = "/status"
_FORM: Final = "application/x-www-form-urlencoded"
_MOST: Final = 16_384  # bytes of a form
_FIELDS: Final = 20
_PATIENCE: Final = 10.0  # seconds for it to come
_FOR_REQUESTS: Final = "This token is for requests alone: use one for administrators."
_OURS: Final = frozenset({"same-origin", "none"})  # none: somebody has loaded it again


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is.

    Attributes:
        identity: The value of its cookie, or of the one that it is given.
        new: Whether it has none yet.
        name: What it is called in the log: the name of its token, or ``local``; an empty text: it may not come in.
        bearer: Whether it has shown a token in a header, as no page of somebody else's can have a browser do.
    """

    identity: str
    new: bool
    name: str
    bearer: bool = False

    @property
    def csrf(self) -> str:
        """What its forms are to hold."""
        return csrf_of(self.identity)


class Guard:
    """Looks at each request.

    Args:
        gateway: Whose tokens open the page.
        options: Its options.
        clock: Where time comes from.
        siblings: The other workers, if any.
    """

    def __init__(self, gateway: Gateway, options: StatusOptions, clock: Clock, siblings: Siblings | None) -> None:
        self.sessions = Sessions(options, clock, gateway.options.tokens, siblings)
        self._attempts = Attempts(options.attempts, clock)
        self._tokens = gateway.options.tokens
        self._options = options

    @property
    def asks(self) -> bool:
        """Whether it asks for a token."""
        return bool(self._tokens)

    @property
    def for_admins(self) -> bool:
        """Whether some of the tokens alone will do."""
        return self._options.admins is not None

    def look_at(self, http: web.Request) -> Caller:
        """Whose request it is; it may be nobody's who may come in.

        Raises:
            Denied: It can't be from a page of ours, or from this machine.
        """
        if not self.asks:
            _check_local(http)
        shown = http.cookies.get(_cookie_of(http), "")
        known = self.sessions.has_shape(shown)
        identity = shown if known else new_id()
        if not self.asks:
            return Caller(identity, not known, "local")
        if hdrs.AUTHORIZATION in http.headers:
            name = self._bearer(http)
            CALLER.set(name)
            return Caller(identity, new=False, name=name, bearer=True)
        session = self.sessions.find(identity) if known else None
        name = session.token if session is not None else ""
        CALLER.set(name)
        return Caller(identity, not known, name)

    def _bearer(self, http: web.Request) -> str:
        """Whose token stands in the header; wrong ones are counted as those of the form are."""
        self._check_attempts(http)
        token = self._found(http)
        if token is None or not self._may(token.name):
            self._attempts.failed(_address_of(http))
            return ""
        return token.name

    def _found(self, http: web.Request) -> Token | None:
        return self._tokens.bearer_of(http.headers[hdrs.AUTHORIZATION].encode("utf-8", "surrogateescape"))

    def enter(self, http: web.Request) -> Caller:
        """As ``look_at``, for those alone who may come in.

        Raises:
            Denied: This one may not.
        """
        caller = self.look_at(http)
        if not caller.name and caller.bearer and self._found(http) is not None:
            raise Denied(403, "Not with this token", _FOR_REQUESTS)
        if not caller.name:
            told = "This page asks for a token of the gateway: log in at /status, or send 'Authorization: Bearer …'."
            raise Denied(401, "Please log in", told, headers={"WWW-Authenticate": "Bearer"})
        return caller

    def log_in(self, http: web.Request, token: str) -> str:
        """Check a token; returns the id for the cookie.

        Raises:
            Denied: It is wrong, or there were too many wrong ones.
        """
        self._check_attempts(http)
        found = self._tokens.find(token.strip().encode("utf-8", "replace"))
        if found is None:
            self._attempts.failed(_address_of(http))
            told = "This is none of the gateway's tokens. They are those that it was started with (--token)."
            raise Denied(403, "Wrong token", told)
        if not self._may(found.name):
            self._attempts.failed(_address_of(http))
            raise Denied(403, "Not with this token", _FOR_REQUESTS)
        self.sessions.end(http.cookies.get(_cookie_of(http), ""))
        return self.sessions.open(found.name)

    def _may(self, name: str) -> bool:
        return self._options.admins is None or name in self._options.admins

    def _check_attempts(self, http: web.Request) -> None:
        wait = self._attempts.wait(_address_of(http))
        if wait > 0:
            seconds = math.ceil(wait)
            told = f"There were too many wrong tokens within a minute. Try again in {seconds} s."
            raise Denied(429, "Too many attempts", told, headers={"Retry-After": str(seconds)})

    # -- forms

    async def read_form(self, http: web.Request, caller: Caller) -> dict[str, str]:
        """The fields of a form that comes from a page of ours; empty where a header's token stands for that.

        Raises:
            Denied: It does not, or it is none.
        """
        self._check_origin(http)
        if caller.bearer:
            return {}
        form = await _fields_of(http)
        if caller.new or not is_csrf_of(caller.identity, form.get("csrf", "")):
            told = (
                "The form was not from a page of this gateway, or that page is out of date. Load the status page again "
                "and press the button there; the browser has to keep its cookie."
            )
            raise Denied(403, "Not from this page", told)
        return form

    def _check_origin(self, http: web.Request) -> None:
        origin = http.headers.get(hdrs.ORIGIN)
        site = http.headers.get("Sec-Fetch-Site")
        ours = origin is None or origin.lower() in self._origins(http)
        if not ours or (site is not None and site not in _OURS):
            told = "Another website has sent this form, so nothing was done. Open the status page itself."
            raise Denied(403, "Not from this page", told)

    def _origins(self, http: web.Request) -> tuple[str, ...]:
        host = http.headers.get(hdrs.HOST, "").lower()
        return (f"https://{host}",) if self.is_secure(http) else (f"http://{host}", f"https://{host}")

    # -- cookies

    def is_secure(self, http: web.Request) -> bool:
        """Whether the browser came by TLS."""
        if http.secure:
            return True
        told = http.headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower()
        return self._options.behind_proxy and told == "https"

    def give(self, http: web.Request, response: web.StreamResponse, identity: str) -> None:
        """Have the browser keep an id, until it is closed."""
        response.set_cookie(
            _cookie_of(http), identity, path=_PATH, httponly=True, samesite="Strict", secure=self.is_secure(http)
        )


def _check_local(http: web.Request) -> None:
    """Keep away pages of the web that lead a browser to loopback by a name of their own, or from their own place."""
    for value in (http.headers.get(hdrs.HOST, ""), http.headers.get(hdrs.ORIGIN, "").partition("://")[2]):
        if value and not is_local(value):
            told = "Without tokens, this gateway serves this machine alone. Start it with --token to serve others."
            raise Denied(403, "Not from here", told)
    if http.headers.get(hdrs.ORIGIN) == "null":
        raise Denied(403, "Not from here", "The page that has sent this does not say where it is from.")


def _cookie_of(http: web.Request) -> str:
    """The cookie's name: those of several gateways on one host are told apart by their port alone."""
    port = http.headers.get(hdrs.HOST, "").rpartition(":")[2]
    return f"{_COOKIE}_{port}" if port.isascii() and port.isdecimal() else _COOKIE


def _address_of(http: web.Request) -> str:
    return http.remote or ""


async def _fields_of(http: web.Request) -> dict[str, str]:
    if http.content_type != _FORM:
        raise Denied(415, "Not a form", f"What is sent here has to be a form ({_FORM}).")
    try:
        body = await asyncio.wait_for(_read(http), _PATIENCE)
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS))
    except (asyncio.TimeoutError, UnicodeDecodeError, ValueError):
        raise Denied(400, "Not a form", "The form could not be read.", closes=True) from None


async def _read(http: web.Request) -> bytes:
    body = b""
    while not http.content.at_eof():
        body += await http.content.readany()
        if len(body) > _MOST:
            raise Denied(413, "Too large", "The form is larger than any of this page.", closes=True)
    return body
