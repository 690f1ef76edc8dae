"""How many work at once, where nobody has said: as many as the keys and their latency can use.

Rules of this file:

* Where somebody waits for a key (the keys are the bottleneck) or for work, there are enough. That many wait for a key
  is no sign of too many: where a minute's allowance is used early in it, all wait for the rest of it.
* Where limits and latency are known, they tell how many are useful: so many work at once, and never many more.
* Where they are not, more are tried as long as all are busy, and taken back where they bring no more answers a second:
  the processor is busy, or requests wait at the provider's. After that, fewer are tried. Chance makes some steps look
  better than they are: without that, the number would creep to its bound in a night.
* Silence tells nothing. A provider that takes a minute for an answer may have room for a thousand requests; a server on
  this machine may answer four at a time, and have the others wait until they time out. So nothing grows blindly: before
  the first has ended there are as many as are safe, and there are twice as many only after all have ended once. From 8
  to 256, that takes as long as some eight answers; who knows better says ``workers=256``, or tells the limits.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FIRST", "Governor"]

FIRST: Final = 8
_NO_END: Final = float("inf")
_FIRST_STEP: Final = 2.0  # until one was in vain
_STEP: Final = 1.5
_GAIN: Final = 1.1  # a step is worth it where it brings a tenth
_PAUSE: Final = 20  # ticks at least after a step in vain until the next one
_REST: Final = 4  # and answers of each; twice as many after the next one in vain, and so on
_LONGEST_REST: Final = 32


class Governor:
    """Decides how many there are to be. Pure: it is told what is seen at each tick.

    Args:
        most: The most that there may be.
        first: How many to begin with.

    Attributes:
        target: How many there are to be.
    """

    def __init__(self, most: int, first: int = FIRST) -> None:
        self._most = most
        self.target = min(first, most)
        self._useful: float = most
        self._told = False  # whether it was known once how many are useful
        self._since: tuple[float, int] | None = None  # when counting began, and what had ended by then
        self._unsettled = 0  # answers that are still those of another number
        self._rate = 0.0  # answers a second before the last step
        self._before = 0  # how many there were before it; 0 where it was judged
        self._step = _FIRST_STEP
        self._tries_fewer = False
        self._pause = 0
        self._rest = _REST
        self._rests_until = 0  # so many have ended

    def tick(
        self, now: float, ended: int, *, waiting: int, idle: int, useful: float = _NO_END, at_first: float = FIRST
    ) -> int:
        """How many there are to be from now on.

        Args:
            now: The moment, in seconds.
            ended: How many items have ended so far.
            waiting: How many wait for a key.
            idle: How many wait for something to do.
            useful: How many the keys can use at most, by their limits and how long an answer takes; infinity: nobody
                knows.
            at_first: How many there may be as long as nothing has ended.
        """
        is_busy = not (waiting or idle)
        if not ended:
            if is_busy and self.target < at_first:
                self._set(min(self._more(_STEP), int(min(at_first, self._most))))
            return self.target
        self._heed(useful)
        self._pause = max(self._pause - 1, 0)
        if not is_busy:
            self._forget()
            return self.target
        rate = self._measure(now, ended)
        if rate is not None:
            if self._before:
                self._judge(rate, ended)
            else:
                self._rate = rate
            if not self._before and not self._pause and ended >= self._rests_until:
                self._try(ended)
        return self.target

    def keep_to(self, most: int) -> None:
        """There can't be more than so many."""
        self._most = most
        self.target = min(self.target, most)

    def _heed(self, useful: float) -> None:
        """Keep to what is useful."""
        self._useful = min(max(useful, FIRST), self._most)
        if useful < _NO_END and not self._told:
            self._told = True  # the first answers show what it takes; later ones may take long because there are many
            self._set(max(self.target, int(self._useful)))
        elif self.target > self._useful * _STEP:
            self._set(int(self._useful))

    def _forget(self) -> None:
        """What was counted so far says nothing: not all were busy."""
        self._set(int(min(max(self.target, self._before), self._most)))

    def _measure(self, now: float, ended: int) -> float | None:
        """Answers a second with so many; None as long as there are too few to tell."""
        if self._since is None:
            self._since = (now, ended)
            return None
        since, then = self._since
        if self._unsettled:
            if ended - then >= self._unsettled:
                self._unsettled, self._since = 0, (now, ended)
            return None
        if ended - then < self.target or now <= since:
            return None
        self._since = (now, ended)
        return (ended - then) / (now - since)

    def _judge(self, rate: float, ended: int) -> None:
        """Whether the last step was worth it; else take it back."""
        before, self._before = self._before, 0
        is_more = self.target > before
        if rate >= self._rate * _GAIN if is_more else rate * _GAIN > self._rate:
            self._rate, self._rest, self._tries_fewer = rate, _REST, not is_more
            return
        self._unsettled = min(self.target, before)
        self.target = min(before, self._most)
        self._step, self._tries_fewer = _STEP, is_more
        self._take_rest(ended)

    def _try(self, ended: int) -> None:
        """Try more, or fewer where more were in vain, or there can't be more."""
        more, fewer = min(self._more(self._step), int(self._useful)), self._fewer()
        can_be_more = more > self.target
        if not can_be_more and self._step == _FIRST_STEP:  # there are the most, and no step was in vain
            self._step = _STEP
            self._take_rest(ended)
            return
        to = fewer if fewer < self.target and (self._tries_fewer or not can_be_more) else max(more, self.target)
        self._tries_fewer = False
        if to != self.target:
            self._before = self.target
            self._unsettled = 0 if self._step == _FIRST_STEP else min(self.target, to)
            self.target = to

    def _take_rest(self, ended: int) -> None:
        self._pause, self._rests_until = _PAUSE, ended + self._rest * self.target
        self._rest = min(2 * self._rest, _LONGEST_REST)

    def _more(self, step: float) -> int:
        return max(int(self.target * step), self.target + 2)

    def _fewer(self) -> int:
        """Where the limits tell how many are useful, that is bound enough."""
        return self.target if self._told else max(int(self.target / _STEP), min(FIRST, self.target))

    def _set(self, target: int) -> None:
        self.target, self._before, self._since, self._unsettled = target, 0, None, 0
