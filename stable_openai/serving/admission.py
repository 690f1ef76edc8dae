"""Whether the bearer of a token may have one more request now: its limits, counted as a key's are.

Each token with limits has a pool of one key, itself: so its windows are those that keys have, and workers that share a
store share them. In the store it has a namespace of its own, beside that of the keys: neither has to read the other's
counts along, nor does one's strategy become the other's.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from stable_openai.errors import NoKeyAvailable, RequestTooLarge, StableError
from stable_openai.keys import Key
from stable_openai.pool.pool import KeyPool
from stable_openai.stores.opening import beside
from stable_openai.stores.protocol import Ask, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stable_openai.clock import Clock
    from stable_openai.stores.protocol import Grant

    from .tokens import Token

__all__ = ["Admission", "Admissions", "TokenLimited"]

_UNUSED: Final = Outcome(unused=True)
_SHOWN: Final = {"requests": "requests", "tokens": "tokens"}


class TokenLimited(StableError):
    """A token's own limits do not allow the request now.

    Attributes:
        retry_after: Seconds until they may; None where they never do.
        headers: What to tell its bearer: ``Retry-After`` and ``x-ratelimit-…``.
    """

    def __init__(self, problem: str, retry_after: float | None, headers: dict[str, str]) -> None:
        super().__init__(problem)
        self.retry_after = retry_after
        self.headers = headers


class Admission:
    """One request that was let in; ``settle`` it or ``release`` it once it is over. Only the first counts."""

    __slots__ = ("_grant", "_pool")

    def __init__(self, pool: KeyPool, grant: Grant) -> None:
        self._pool = pool
        self._grant: Grant | None = grant

    def settle(self, tokens: int | None = None) -> None:
        """It is over, and has used so many tokens; None: those that were reserved."""
        self._end(Outcome(success=True, tokens=tokens))

    def release(self) -> None:
        """It came to nothing: it does not count."""
        self._end(_UNUSED)

    def headers(self) -> dict[str, str]:
        """What its bearer has left, as OpenAI's ``x-ratelimit-…`` headers."""
        return _headers_of(self._pool)

    def _end(self, outcome: Outcome) -> None:
        grant, self._grant = self._grant, None
        if grant is not None:
            self._pool.settle(grant, outcome)


class Admissions:
    """Lets in, or not.

    Args:
        tokens: The tokens.
        store: Where they are counted, as ``KeyPool`` takes it: workers are to share one.
        clock: Where time comes from; for tests.
    """

    def __init__(self, tokens: Iterable[Token], *, store: str = "memory://", clock: Clock | None = None) -> None:
        options = {} if clock is None else {"clock": clock}
        self._pools = {
            token.name: KeyPool(
                [Key(token.secret, name=token.name, limits=token.limits)], store=_store_of(token, store), **options
            )
            for token in tokens
            if token.limits
        }

    def counts_tokens(self, name: str) -> bool:
        """Whether a token's limits are about tokens, so that those of a request are worth estimating."""
        pool = self._pools.get(name)
        return pool is not None and pool.counts_tokens

    async def enter(self, name: str, tokens: int = 0) -> Admission | None:
        """Let one request in; None where the token has no limits.

        Args:
            name: The token's name.
            tokens: What the request is estimated to need.

        Raises:
            TokenLimited: Its limits do not allow it now.
        """
        pool = self._pools.get(name)
        if pool is None:
            return None
        try:
            return Admission(pool, await pool.aobtain(Ask(None, tokens), 0.0))
        except NoKeyAvailable as error:
            seconds = max(error.retry_after or 0.0, 0.0)
            later = str(max(math.ceil(seconds), 1))
            told = f"the limits of your token are used up{_which(error)}; try again in {later} s"
            refused = TokenLimited(told, seconds, {"Retry-After": later, **_headers_of(pool)})
        except RequestTooLarge as error:
            told = f"the request needs {error.tokens} tokens, and your token's limit allows {error.largest}"
            refused = TokenLimited(told, None, _headers_of(pool))
        raise refused

    async def aclose(self) -> None:
        """Close what counts."""
        for pool in self._pools.values():
            await pool.aclose()

    def close(self) -> None:
        """As ``aclose``, outside an event loop."""
        for pool in self._pools.values():
            pool.close()


def _store_of(token: Token, store: str) -> str:
    return beside(store, f"token.{blake2b(token.name.encode(), digest_size=8).hexdigest()}")


def _which(error: NoKeyAvailable) -> str:
    """Which limit it was: the only key of the pool is the token, and the reason that it is out says so."""
    reasons = [reason.partition(";")[0] for reason in error.reasons.values() if reason]
    return f" ({reasons[0]})" if reasons else ""


def _headers_of(pool: KeyPool) -> dict[str, str]:
    """The tightest window of requests and of tokens, by what is left of it as far as is known without asking."""
    headers: dict[str, str] = {}
    windows = [window for key in pool.store.snapshot(fresh=False) for lane in key.lanes for window in lane.windows]
    for what, word in _SHOWN.items():
        ours = [window for window in windows if window.what == what]
        if ours:
            tightest = min(ours, key=lambda window: window.left / window.limit)
            headers[f"x-ratelimit-limit-{word}"] = str(tightest.limit)
            headers[f"x-ratelimit-remaining-{word}"] = str(tightest.left)
            headers[f"x-ratelimit-reset-{word}"] = f"{tightest.seconds:g}s"
    return headers
