"""What has ended so far, and how: counted as it happens, looked at now and then."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import StableError
from stable_openai.pool.usage import tokens_used

from .capacity import Capacity
from .gathering import Gathering
from .record import RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stable_openai.pool.pool import KeyPool
    from stable_openai.stores.snapshots import KeyStatus

    from .items import Result

__all__ = ["Tally"]

_UNKNOWN: Final = float("inf")
_SPARE: Final = 4  # workers beyond those that are needed in the mean
_EACH_KEY: Final = 8  # calls at once that a key of unknown limits is taken to bear
_SILENT: Final = frozenset({str, int, float, bool, bytes, type(None)})  # they say nothing of tokens


class Tally:
    """The counts of one run. Safe in threads.

    Args:
        pool: Whose keys it uses; None where that is not known.
        total: How many items there are; None where that is not known.

    Attributes:
        ended: Items that have ended in this run, well or not.
        resumed: Items that a checkpoint had already.
        given_up: Items that an earlier run has found not to be able to succeed.
        answered: Items that this run got a value for.
        failed: How many failed, by reason.
        total: How many there are; None where that is not known.
        stopped: Why the run ended before its items did.
        seconds: How long it took; None as long as it goes on.
        cost: What the answers cost, for whoever counts that.
    """

    def __init__(self, pool: KeyPool | None, total: int | None) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._minute = 60.0 if pool is None else pool.options.minute
        self._started_at = time.time()
        self._began = time.monotonic()
        self._replayed_at = 0.0  # when an item came last that a checkpoint had
        self._tokens: int | None = None
        self._prompt_tokens: int | None = None
        self._gathering = Gathering(minute=self._minute)
        self.ended = self.resumed = self.given_up = self.answered = 0
        self._possible: list[float] = [0.0, 0.0]  # the sum of what was possible in a minute, and how often it was seen
        self.failed: Counter[str] = Counter()
        self.total = total
        self.stopped = ""
        self.seconds: float | None = None
        self.cost: float | None = None

    def begin(self) -> None:
        """The run begins now."""
        self._started_at = time.time()
        self._began = time.monotonic()
        self.sample()

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began if self.seconds is None else self.seconds

    def add(self, results: Iterable[Result]) -> None:
        """These have ended."""
        now = self.elapsed
        with self._lock:
            for result in results:
                self._add(result, now)

    def _add(self, result: Result, now: float) -> None:
        if result.resumed:
            self._replayed_at = now
            if result.error is None:
                self.resumed += 1
            else:
                self.given_up += 1
                self.failed[result.reason] += 1
            return
        self.ended += 1
        self._gathering.took(result.seconds)
        if result.error is not None:
            self.failed[result.reason] += 1
            return
        self.answered += 1
        self._gathering.answered(now)

    def skipped(self) -> None:
        """One was in the checkpoint already, and nobody wants to have it again."""
        with self._lock:
            self._replayed_at = self.elapsed
            self.resumed += 1

    def use(self, value: Any) -> None:
        """Count the tokens that an answer says it took."""
        tokens = None if type(value) in _SILENT else tokens_used(value)
        if tokens is not None:
            self.use_tokens(tokens)

    def use_tokens(self, tokens: int, prompt_tokens: int | None = None) -> None:
        """Count tokens."""
        with self._lock:
            self._tokens = (self._tokens or 0) + tokens
            if prompt_tokens is not None:
                self._prompt_tokens = (self._prompt_tokens or 0) + prompt_tokens

    def attempt_took(self, seconds: float) -> None:
        """The provider has answered in so long."""
        with self._lock:
            self._gathering.attempt_took(seconds)

    # -- looking

    def sample(self) -> Sequence[KeyStatus]:
        """Look at the keys."""
        if self._pool is None or self._pool.closed:
            return ()
        try:
            statuses = self._pool.status()
        except StableError:  # its store is lost, or it was closed meanwhile: the run is none the worse for that
            return ()
        possible = self._possible_now(statuses)
        with self._lock:
            self._gathering.sample(self.elapsed, statuses)
            if possible is not None and self.elapsed >= self._minute:
                self._possible[0] += possible
                self._possible[1] += 1
        return statuses

    def _possible_now(self, statuses: Sequence[KeyStatus]) -> float | None:
        """Answers that the limits allow in a minute; None where nobody knows."""
        if not statuses:
            return None
        per_second = Capacity.of(statuses).per_second(self.tokens_each, over=self._minute)
        return None if per_second is None else per_second * self._minute

    @property
    def tokens_each(self) -> float:
        """Tokens of an answer, on average so far."""
        return (self._tokens or 0) / self.answered if self.answered else 0.0

    def useful_workers(self, statuses: Sequence[KeyStatus]) -> float:
        """How many can be at work at once, by the limits and by what an answer takes; infinity: nobody knows.

        Twice what Little's law asks for in the mean: a minute's allowance may be used early in it.
        """
        possible = self._possible_now(statuses)
        with self._lock:
            seconds = self._gathering.quick_answer()
        return _UNKNOWN if possible is None or seconds is None else 2 * possible / self._minute * seconds + _SPARE

    def workers_at_first(self, statuses: Sequence[KeyStatus]) -> float:
        """How many may be at work before the first has ended.

        Where limits are known, as many as ``useful_workers`` will find if an answer takes as long as the run has waited
        by now: it will take longer. Else eight for each key that is up.
        """
        possible = self._possible_now(statuses)
        if possible is None:
            return float(_EACH_KEY * max(Capacity.of(statuses).up, 1))
        return 2 * possible / self._minute * (self.elapsed - self._replayed_at) + _SPARE

    @property
    def done(self) -> int:
        """Items of which it is known what came of them."""
        return self.ended + self.resumed + self.given_up

    def left(self) -> int | None:
        """How many items have not ended; None where that is not known."""
        return None if self.total is None else max(self.total - self.done, 0)

    def seconds_left(self, statuses: Sequence[KeyStatus]) -> float | None:
        """How long it will go on: as fast as so far, but no faster than the limits allow; None where nobody knows.

        Infinity where no key is left.
        """
        left = self.left()
        if left is None:
            return None
        by_limits = Capacity.of(statuses).seconds_for(left, self.tokens_each) if statuses else None
        by_rate = left * self.elapsed / self.ended if self.ended else None
        return max((found for found in (by_limits, by_rate) if found is not None), default=None)

    def record(self, *, output: str | None = None, failures: str | None = None) -> RunRecord:
        """What has come of it so far."""
        possible = self._possible_now(self.sample())
        with self._lock:
            seen, times = self._possible
            mean = seen / times if times else possible
            gathering, now = self._gathering, self.elapsed
            return RunRecord(
                started_at=self._started_at,
                seconds=now,
                total=self.total,
                resumed=self.resumed,
                answered=self.answered,
                failed=dict(self.failed),
                stopped=self.stopped,
                tokens=self._tokens,
                prompt_tokens=self._prompt_tokens,
                cost=self.cost,
                possible_per_minute=possible,
                share=gathering.share(now, mean),
                minute=self._minute,
                bin_s=gathering.bin_s,
                answered_counts=gathering.answered_counts(),
                latencies=gathering.latencies(),
                attempt_latencies=gathering.attempt_latencies(),
                keys=gathering.keys_at(now),
                output=output,
                failures=failures,
            )
