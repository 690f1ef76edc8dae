"""Who has logged in, and how often somebody has tried. All of it in memory, and bounded."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stable_openai.clock import Clock
    from stable_openai.serving import Siblings, Tokens

    from .settings import StatusOptions

__all__ = ["Attempts", "Session", "Sessions", "csrf_of", "is_csrf_of", "new_id"]

_MINUTE: Final = 60.0
_ADDRESSES: Final = 1_024
_ALL: Final = 10  # times as many attempts from all addresses
_LONGEST: Final = 512  # characters of a cookie
_PARTS: Final = 4  # of a signed one: the id, its end in seconds since 1970, the token's name, the signature
_LEFT: Final = "logged out of the status page"  # what workers tell each other
_PURPOSE: Final = b"stable_openai status login "
_LENGTH: Final = 43  # characters of an id


def new_id() -> str:
    """The value of a cookie: 256 bits of chance."""
    return secrets.token_urlsafe(32)


def is_id(value: str) -> bool:
    """Whether a cookie's value has the shape of an id."""
    return len(value) == _LENGTH and value.isascii() and value.replace("-", "").replace("_", "").isalnum()


def csrf_of(identity: str) -> str:
    """What the forms of a page hold for the bearer of this cookie; a page of somebody else's can't know it."""
    return hmac.new(identity.encode(), b"stable_openai status form", hashlib.sha256).hexdigest()


def is_csrf_of(identity: str, shown: str) -> bool:
    """Whether a form's value is the one of this cookie; takes as long whether it is or not."""
    return hmac.compare_digest(csrf_of(identity).encode(), shown.encode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Session:
    """A login.

    Attributes:
        token: The name of the token that was shown.
        ends_at: When it ends, in monotonic seconds.
    """

    token: str
    ends_at: float


class Sessions:
    """The logins that hold, by what their cookie is hashed to: the ids themselves are with their bearers alone.

    Where there are several workers, cookies are signed, so that a login holds in all of them at once; a logout is told.

    Args:
        options: How many there may be, and for how long.
        clock: Where time comes from.
        tokens: What cookies are signed with, where there are other workers.
        siblings: Those, if any.
    """

    def __init__(self, options: StatusOptions, clock: Clock, tokens: Tokens, siblings: Siblings | None) -> None:
        self._options = options
        self._clock = clock
        self._siblings = siblings
        self._secrets = {token.name: token.secret.encode() for token in tokens} if siblings is not None else {}
        self._known: dict[bytes, Session] = {}  # the oldest first
        self._over: dict[bytes, float] = {}  # logged out, and until when that matters; the oldest first
        if siblings is not None:
            siblings.hear(_LEFT, lambda told: self._leave(bytes.fromhex(told)))

    def open(self, token: str) -> str:
        """Log somebody in; returns the id for the cookie."""
        now = self._clock.monotonic()
        while self._known:
            oldest = next(iter(self._known))
            if self._known[oldest].ends_at > now and len(self._known) < self._options.max_sessions:
                break
            del self._known[oldest]
        identity = new_id()
        if self._siblings is not None:
            identity = self._signed(f"{identity}~{int(self._clock.time() + self._options.session)}", token)
        self._known[_digest(identity)] = Session(token, now + self._options.session)
        return identity

    def find(self, identity: str) -> Session | None:
        """The login of a cookie, where it holds."""
        session = self._known.get(_digest(identity))
        if session is None:
            return self._of_another(identity)
        return session if session.ends_at > self._clock.monotonic() else None

    def has_shape(self, value: str) -> bool:
        """Whether a cookie's value may be one of ours."""
        head, _, rest = value.partition("~")
        return is_id(head) and (not rest or (self._siblings is not None and len(value) <= _LONGEST))

    def _signed(self, told: str, token: str) -> str:
        """What other processes with the same tokens can check."""
        told = f"{told}~{token.encode().hex()}"
        return f"{told}~{hmac.new(self._secrets[token], _PURPOSE + told.encode(), hashlib.sha256).hexdigest()}"

    def _of_another(self, identity: str) -> Session | None:
        """The login of a cookie that another process has given."""
        parts = identity.split("~")
        if len(parts) != _PARTS or not parts[1].isdecimal():
            return None
        try:
            token = bytes.fromhex(parts[2]).decode()
        except ValueError:
            return None
        left = int(parts[1]) - self._clock.time()
        if token not in self._secrets or left <= 0 or _digest(identity) in self._over:
            return None
        if not hmac.compare_digest(self._signed("~".join(parts[:2]), token).encode(), identity.encode()):
            return None
        return Session(token, self._clock.monotonic() + left)

    def end(self, identity: str) -> None:
        """Log out, in all workers."""
        if self._siblings is not None and self.find(identity) is not None:
            self._leave(_digest(identity))
            self._siblings.tell(_LEFT, _digest(identity).hex(), self._options.session)
        self._known.pop(_digest(identity), None)

    def _leave(self, digest: bytes) -> None:
        now = self._clock.monotonic()
        while self._over and next(iter(self._over.values())) <= now:
            del self._over[next(iter(self._over))]
        self._known.pop(digest, None)
        self._over[digest] = now + self._options.session

    def __len__(self) -> int:
        return len(self._known)


def _digest(identity: str) -> bytes:
    """What is looked up: how long that takes tells nothing about the ids."""
    return hashlib.sha256(identity.encode("utf-8", "replace")).digest()


class Attempts:
    """Wrong tokens of the last minute, by the address that they came from."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._all: deque[float] = deque(maxlen=most * _ALL)
        self._by_address: dict[str, deque[float]] = {}

    def wait(self, address: str) -> float:
        """Seconds until this address may try again; 0: now."""
        now = self._clock.monotonic()
        waits = 0.0
        for times in (self._all, self._by_address.get(address, deque(maxlen=self._most))):
            if len(times) == times.maxlen:
                waits = max(waits, times[0] + _MINUTE - now)
        return waits

    def failed(self, address: str) -> None:
        """It has shown a wrong one."""
        now = self._clock.monotonic()
        self._all.append(now)
        times = self._by_address.pop(address, None) or deque(maxlen=self._most)
        times.append(now)
        self._by_address[address] = times  # the one that was heard of last
        while len(self._by_address) > _ADDRESSES:
            del self._by_address[next(iter(self._by_address))]
