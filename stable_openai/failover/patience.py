"""How long a call goes on: tenacity's own objects are the language of patience."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stable_openai.errors import ConfigurationError
from stable_openai.limits import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

    from .records import Record

__all__ = ["Patience"]

_TROUBLES: Final = 6  # attempts that may meet the provider's own trouble, where nobody says otherwise
_SPARE: Final = 10  # attempts beyond two for each key: bounds a provider that rejects and names no wait


@dataclass(frozen=True, slots=True)
class Patience:
    """The bounds of one call.

    Args:
        max_wait: The longest that it waits for keys, in seconds; None: the pool's.
        timeout: The longest that it takes in all, in seconds; None: the pool's.
        stop: A tenacity stop object, asked after each failed attempt; None: bounded by the number of keys.
        wait: A tenacity wait object for back-off after the provider's own trouble, of which it sees the number; None:
            random exponential to 20 s.
    """

    max_wait: float | None = None
    timeout: float | None = None
    stop: Callable[[RetryCallState], bool] | None = None
    wait: Callable[[RetryCallState], float] | None = None

    def __post_init__(self) -> None:
        for name in ("max_wait", "timeout"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0):
                raise ConfigurationError(name, f"must be a number of seconds from 0 up, not {value!r}")
        for name in ("stop", "wait"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise ConfigurationError(name, f"must be a tenacity {name} object, such as tenacity.{name}_… has them")

    def is_over(self, records: list[Record], keys: int, state: RetryCallState) -> bool:
        """Whether to stop after these failed attempts."""
        if self.stop is not None:
            return bool(self.stop(state))
        troubles = sum(record.trouble for record in records)
        return troubles >= _TROUBLES or sum(not record.outage for record in records) >= 2 * keys + _SPARE

    def pause(self, state: RetryCallState, troubles: int, minute: float) -> float:
        """Seconds of back-off after the provider's own trouble.

        Args:
            state: What tenacity's objects look at.
            troubles: How often it was met in this call.
            minute: How long the provider's minute lasts, in seconds: our own back-off is scaled like it.
        """
        wait = self.wait
        if wait is None:
            from tenacity import wait_random_exponential

            wait = wait_random_exponential(multiplier=0.5 * minute / MINUTE, max=20 * minute / MINUTE)
        attempts, state.attempt_number = state.attempt_number, troubles  # keys that were rejected call for no back-off
        try:
            return max(float(wait(state)), 0.0)
        finally:
            state.attempt_number = attempts


def retry_state(started: float, now: float, records: list[Record], error: BaseException) -> RetryCallState:
    """What tenacity's objects look at: the attempt's number, the time since the start, the outcome."""
    from tenacity import Future, RetryCallState, Retrying

    state = RetryCallState(Retrying(), None, (), {})
    state.start_time = started
    state.outcome_timestamp = now
    state.attempt_number = len(records)
    state.idle_for = sum(record.paused for record in records)
    outcome: Future = Future(len(records))
    outcome.set_exception(error)
    state.outcome = outcome
    return state
