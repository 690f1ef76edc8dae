"""A lease: the grant of one key for one attempt, settled exactly once."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

from stable_openai.masking import Secret
from stable_openai.stores.protocol import Ask, Grant, Outcome

from .reactions import outcome_of, success_of
from .usage import check_tokens, tokens_used

if TYPE_CHECKING:
    from types import TracebackType

    from stable_openai.keys import Key
    from stable_openai.verdict import Verdict

    from .granting import Granting

__all__ = ["Lease", "LeaseRequest"]

_SUCCESS: Final = Outcome(success=True)
_UNKNOWN: Final = Outcome()
_UNUSED: Final = Outcome(unused=True)


class Lease:
    """One key for one attempt.

    ``settle`` tells how it ended. Only the first settlement counts; a later one changes nothing and returns the first
    verdict. A lease that leaves its ``with`` block unsettled settles itself: by the exception, or as a success. One
    that is forgotten is settled when it is collected: its request counts, its place in flight is given back.

    Attributes:
        key: The key, with its owner and base URL.
        name: The key's name in the pool.
        model: The model that it was granted for, or None.
        verdict: The verdict of the settlement, or None before it.
    """

    __slots__ = ("__weakref__", "_details", "_grant", "_pool", "verdict")

    def __init__(self, pool: Granting, grant: Grant) -> None:
        self._pool = pool
        self._details = grant
        self._grant: Grant | None = grant  # None once it is settled
        self.verdict: Verdict | None = None

    @property
    def key(self) -> Key:
        """The key, with its owner and base URL."""
        return self._details.key

    @property
    def name(self) -> str:
        """The key's name in the pool."""
        return self._details.name

    @property
    def model(self) -> str | None:
        """The model that it was granted for, or None."""
        return self._details.model

    @property
    def api_key(self) -> str:
        """The secret, for the Authorization header."""
        return self._details.key.secret

    @property
    def base_url(self) -> str | None:
        """The endpoint that the key belongs to, where that is not the default one."""
        return self._details.key.base_url

    @property
    def headers(self) -> dict[str, str]:
        """The Authorization header (RFC 6750, section 2.1), in a new dictionary each time; its ``repr`` is masked."""
        return {"Authorization": Secret(f"Bearer {self._details.key.secret!s}")}

    @property
    def settled(self) -> bool:
        """Whether it has ended."""
        return self._grant is None

    def settle(self, answer: object = None, *, tokens: int | None = None) -> Verdict | None:
        """Tell how the attempt ended.

        Args:
            answer: Any response, ``Answer`` or exception; None for a success of which there is nothing to read.
            tokens: The tokens that were really used; where not given, the answer's ``usage`` tells.

        Returns:
            The verdict, or None where nothing was there to judge.
        """
        if tokens is not None:
            check_tokens(tokens)
        grant, self._grant = self._grant, None
        if grant is None:
            return self.verdict
        outcome = _UNKNOWN
        try:
            if answer is None:
                outcome = _SUCCESS if tokens is None else Outcome(success=True, tokens=tokens)
            else:
                self.verdict = self._pool.judge(answer, grant.key)
                used = tokens_used(answer) if tokens is None else tokens
                outcome = success_of(answer, used) if self.verdict.is_ok else outcome_of(self.verdict, used)
        finally:  # a rule of the user's may raise: the place in flight is given back even so
            self._pool.settle(grant, outcome)
        return self.verdict

    def release(self) -> None:
        """Give the lease back unused: nothing was sent, so nothing counts."""
        grant, self._grant = self._grant, None
        if grant is not None:
            self._pool.settle(grant, _UNUSED)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._grant is not None:
            self.settle(error)

    async def __aenter__(self) -> Lease:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __del__(self) -> None:
        grant, self._grant = self._grant, None
        if grant is not None:
            self._pool.forget(grant, _UNKNOWN)
            warnings.warn(f"the lease of {grant.name} ({grant.key.masked}) was never settled", ResourceWarning, 2)

    def __repr__(self) -> str:
        state = "settled" if self._grant is None else "running"
        return f"<Lease of {self.name} ({self.key.masked}), {state}>"


class LeaseRequest:
    """What ``pool.lease(...)`` returns: a context manager for ``with`` and ``async with``, good for one lease."""

    __slots__ = ("_ask", "_lease", "_max_wait", "_pool")

    def __init__(self, pool: Granting, ask: Ask, max_wait: float | None) -> None:
        self._pool = pool
        self._ask = ask
        self._max_wait = max_wait
        self._lease: Lease | None = None

    def __enter__(self) -> Lease:
        self._lease = Lease(self._pool, self._pool.obtain(self._ask, self._max_wait))
        return self._lease

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.__exit__(kind, error, traceback)

    async def __aenter__(self) -> Lease:
        self._lease = Lease(self._pool, await self._pool.aobtain(self._ask, self._max_wait))
        return self._lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __repr__(self) -> str:
        return f"<LeaseRequest for {self._ask.model or 'any model'} of {self._pool!r}>"
