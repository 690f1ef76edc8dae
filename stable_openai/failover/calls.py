"""Failover as decisions without I/O: after each attempt, whether to go on, where, and when.

``Call`` decides, and the pumps in ``attempts`` act. So the drivers of all four kinds of function are::

    for attempt in call.attempts():
        with attempt:
            return attempt.result(function(...))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stable_openai.errors import NoKeyAvailable, StableError
from stable_openai.pool.reactions import outcome_of, success_of
from stable_openai.stores.protocol import NOBODY, Ask, Outcome
from stable_openai.verdict import Reason

from .attempts import Attempt, Attempts
from .hidden_retries import warn_of_hidden_retries
from .notes import note_attempts
from .patience import retry_state
from .portable import make_portable
from .records import ProviderRefusal, Record

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from stable_openai.pool.pool import KeyPool
    from stable_openai.stores.protocol import Grant
    from stable_openai.stores.queues import Slot
    from stable_openai.verdict import Verdict

    from .patience import Patience

__all__ = ["Call"]

_ENDED: Final = Outcome()
_NEVER: Final = float("inf")
_REFUSED_EVERYWHERE: Final = frozenset({Reason.PERMISSION_DENIED, Reason.MODEL_UNAVAILABLE_FOR_KEY})


class Call:
    """One call of the user's, over as many attempts as it takes.

    Args:
        pool: Where keys come from.
        patience: The bounds.
        model: The model that it is for, or None.
        tokens: Tokens to reserve for each attempt.
        started: When it began, in the store's time, where that was noted; default: now.
        backs_off: Whether the provider's own trouble is met here, by resting and trying again; False where whoever
            calls does that (openai's client has retries of its own).
    """

    __slots__ = ("_error", "_patience", "_started", "_waited", "ask", "backs_off", "grant", "pause", "pool", "records")

    def __init__(
        self,
        pool: KeyPool,
        patience: Patience,
        model: str | None,
        tokens: int = 0,
        started: float | None = None,
        *,
        backs_off: bool = True,
    ) -> None:
        self.pool = pool
        self.backs_off = backs_off
        self.ask = Ask(model, tokens)
        self.grant: Grant | None = None
        self.records: list[Record] = []
        self.pause = 0.0
        self._patience = patience
        self._error: Exception | None = None
        self._started = pool.store.now() if started is None else started
        self._waited = 0.0

    def attempts(self) -> Attempts:
        """The attempts, one after the other, for ``for`` and ``async for``."""
        return Attempts(self)

    # -- what happened

    def adopt(self, slot: Slot) -> Call:
        """Take over an attempt that was granted on the hot path."""
        self.ask.call = self.pool.line.ticket()
        self.grant = self.pool.adopt(slot, self.ask)
        return self

    def granted(self, grant: Grant, asked_at: float) -> Attempt:
        """A key was granted."""
        self.grant = grant
        self._waited += self.pool.store.now() - asked_at
        return Attempt(self, grant)

    def succeeded(self, tokens: int | None, answer: object = None) -> None:
        """The attempt ended well."""
        self._settle(Outcome(success=True, tokens=tokens) if answer is None else success_of(answer, tokens))

    def failed(self, error: BaseException, *, begun: bool = False) -> bool:
        """The attempt raised: settle it, and decide whether to go on.

        Args:
            error: What was raised.
            begun: Whether the caller has already received a part of the answer, so that there is no way back.
        """
        if not isinstance(error, Exception):
            self._settle(_ENDED)  # interrupted, cancelled or closed: that tells nothing about the key
            return False
        verdict = self._judge(error)
        if verdict.reason is Reason.NOT_PROVIDER:
            make_portable(error)
            return False
        warn_of_hidden_retries(error)
        self._error = error
        if self._is_to_go_on(verdict, error, begun=begun):
            return True
        note_attempts(error, self.records)
        return False

    def rejected(self, answer: object, *, begun: bool = False, error: Exception | None = None) -> bool:
        """The provider answered with an error that nobody has raised: settle, and decide whether to go on.

        Args:
            answer: The response, or the ``Answer`` that an error event in a stream is.
            begun: As for ``failed``.
            error: What is to be raised for it, where every key has refused.
        """
        verdict = self._judge(answer)
        if verdict.reason is Reason.NOT_PROVIDER:  # a rule of the user's says so
            return False
        self._error = error
        return self._is_to_go_on(verdict, ProviderRefusal(verdict), begun=begun)

    @property
    def verdict(self) -> Verdict | None:
        """What the last failed attempt met."""
        return self.records[-1].verdict if self.records else None

    def _judge(self, what: object) -> Verdict:
        """Settle the attempt by what ended it, and note that where it is the provider's."""
        grant = self.grant
        assert grant is not None  # noqa: S101  # an attempt runs on a grant
        outcome = _ENDED
        try:
            verdict = self.pool.judge(what, grant.key)
            outcome = outcome_of(verdict)
        finally:  # a rule of the user's may raise: the place in flight is given back even so
            self._settle(outcome)
        if verdict.reason is not Reason.NOT_PROVIDER:
            self.records.append(Record(grant.name, grant.key.masked, verdict, outage=grant.outage))
        return verdict

    def _is_to_go_on(self, verdict: Verdict, error: Exception, *, begun: bool) -> bool:
        self.pause = 0.0
        if begun:
            return False
        record = self.records[-1]
        if record.outage and (self.backs_off or not verdict.is_provider_trouble):
            return self._outlast()
        return self._goes_on(verdict, error, record.name)

    def _outlast(self) -> bool:
        """Stand in line again in an outage: no attempt is counted, no key avoided.

        The place is behind those who have yet to try, so that one request that always fails does not keep the probes.
        """
        self.ask.avoid = NOBODY
        self.ask.call = self.pool.line.ticket()
        return True

    def _goes_on(self, verdict: Verdict, error: Exception, name: str) -> bool:
        if not (verdict.retry_elsewhere or verdict.is_provider_trouble or verdict.is_rate_limit):
            return False
        if verdict.is_provider_trouble and not self.backs_off:
            self.ask.avoid |= {name}
            return False
        now = self.pool.store.now()
        time_left = self._time_left(now)
        state = retry_state(self._started, now, self.records, error)
        pause = self._pause(verdict, state)
        if self._patience.is_over(self.records, len(self.pool), state) or time_left <= 0 or pause > time_left:
            return False
        if verdict.wait_s is not None and pause:  # the provider's wish is a wait like that for a key
            if pause > self._wait_left():
                return False
            self._waited += pause
        self.pause = self.records[-1].paused = pause
        self.ask.avoid |= {name}
        if verdict.oversized or verdict.reason in _REFUSED_EVERYWHERE:
            self.ask.shun |= {name}
        return True

    def _pause(self, verdict: Verdict, state: RetryCallState) -> float:
        """Seconds to rest before the next attempt; tenacity's stop objects may ask for them."""
        if not verdict.is_provider_trouble:
            return 0.0
        pause = verdict.wait_s
        if pause is None:
            troubles = sum(record.trouble for record in self.records)
            pause = self._patience.pause(state, troubles, self.pool.options.minute)
        state.upcoming_sleep = pause
        return pause

    def _settle(self, outcome: Outcome) -> None:
        grant, self.grant = self.grant, None
        if grant is not None:
            self.pool.settle(grant, outcome)

    # -- what next

    def _wait_left(self) -> float:
        """Seconds that may still be waited for keys."""
        max_wait = self._patience.max_wait
        return (self.pool.max_wait if max_wait is None else max_wait) - self._waited

    def _time_left(self, now: float) -> float:
        """Seconds that the call may still take."""
        timeout = self._patience.timeout
        if timeout is None:
            timeout = self.pool.timeout
        return _NEVER if timeout is None else timeout - (now - self._started)

    def is_late(self, after: float = 0.0) -> bool:
        """Whether it will have taken as long as it may in all, so many seconds from now."""
        return self._time_left(self.pool.store.now()) <= after

    def budget(self, now: float) -> float:
        """Seconds that may be waited for a key now."""
        return max(min(self._wait_left(), self._time_left(now)), 0.0)

    def ended(self, error: StableError) -> Exception:
        """What to raise where no key could be had: our own error, or the provider's where every key has refused."""
        refused = all(
            record.verdict.reason in _REFUSED_EVERYWHERE or record.verdict.oversized for record in self.records
        )
        final: Exception = error
        if self._error is not None:
            if refused and isinstance(error, NoKeyAvailable):
                final = self._error
            else:
                error.__cause__ = self._error
        note_attempts(final, self.records)
        return final
