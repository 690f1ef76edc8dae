"""What a run leaves behind for its report, gathered while it goes on; as much memory after a week as after a minute.

Rules of this file:

* Times are seconds since the run began, and an argument; no clock is read. Whoever has threads holds a lock.
* A course over time has at most 600 bins. Where a run outgrows them, neighbours are joined, in all courses at once.
* A pool's counters are its own: what a run did is what they grew by since the first look at them.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from .record import KeyRecord, Latencies, Stretch
from .stretches import join

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stable_openai.stores.snapshots import KeyStatus, LaneStatus

__all__ = ["Gathering", "share_of"]

_MOST_BINS: Final = 600
_FIRST_BIN_S: Final = 0.1
_MOST_STRETCHES: Final = 200
_FEWER_STRETCHES: Final = 150
_MINUTES_KEPT: Final = 4  # that may still get answers; of those before, the sum is kept
_FACTOR: Final = 1.25
_EDGES_S: Final = tuple(0.001 * _FACTOR**power for power in range(69))  # from a millisecond to more than an hour
_ENOUGH: Final = 8  # answers, to tell what one takes
_OPEN: Final = "open"


class Gathering:
    """The courses of one run over time.

    Args:
        minute: How long the provider's minute lasts, in seconds.

    Attributes:
        bin_s: How long a bin lasts now, in seconds.
    """

    def __init__(self, minute: float = 60.0) -> None:
        self.bin_s = _FIRST_BIN_S
        self._minute = minute
        self._bins = 0  # that the run has reached
        self._answered: list[int] = []
        self._took = [0] * len(_EDGES_S)
        self._attempts_took = [0] * len(_EDGES_S)
        self._keys: dict[str, _Key] = {}
        self._sampled_at: float | None = None
        self._by_minute: dict[int, int] = {}
        self._before = 0  # answers of minutes after the first that are kept no longer

    # -- what happens

    def answered(self, at_s: float) -> None:
        """An item got its value then."""
        _count(self._answered, self._bin(at_s), 1)
        minute = int(max(at_s, 0.0) / self._minute)
        self._by_minute[minute] = self._by_minute.get(minute, 0) + 1
        if len(self._by_minute) > _MINUTES_KEPT:
            oldest = min(self._by_minute)
            self._before += self._by_minute.pop(oldest) if oldest else 0

    def took(self, seconds: float) -> None:
        """An item took so long, waits for keys included."""
        self._took[_place_of(seconds)] += 1

    def attempt_took(self, seconds: float) -> None:
        """An answer of the provider's took so long."""
        self._attempts_took[_place_of(seconds)] += 1

    def sample(self, at_s: float, statuses: Iterable[KeyStatus]) -> None:
        """Look at the keys.

        What they did since the last look is spread over the bins since then. The first look sees what they had done
        before the run; a key that is new later has done nothing before.

        Args:
            at_s: The moment.
            statuses: All keys, as ``pool.status()`` gives them.
        """
        last = self._bin(at_s)
        first = last if self._sampled_at is None else min(self._bin(self._sampled_at) + 1, last)
        seen = set()
        for status in statuses:
            seen.add(status.name)
            key = self._keys.get(status.name)
            if key is None:
                key = self._keys[status.name] = _Key(status, is_new=self._sampled_at is not None)
            key.see(at_s, status, first, last)
        for name in self._keys.keys() - seen:
            self._keys[name].end_stretch(at_s)
        self._sampled_at = at_s

    def _bin(self, at_s: float) -> int:
        while at_s >= self.bin_s * _MOST_BINS:
            self._join_bins()
        place = int(max(at_s, 0.0) / self.bin_s)
        self._bins = max(self._bins, place + 1)
        return place

    def _join_bins(self) -> None:
        self.bin_s *= 2
        self._bins = (self._bins + 1) // 2
        _halve(self._answered)
        for key in self._keys.values():
            _halve(key.counts)

    # -- what a report is made of

    def answered_counts(self) -> tuple[int, ...]:
        """Items answered in each bin."""
        return _filled(self._answered, self._bins)

    def latencies(self) -> Latencies:
        """How long items took."""
        return _latencies(self._took)

    def attempt_latencies(self) -> Latencies:
        """How long the provider's answers took."""
        return _latencies(self._attempts_took)

    def quick_answer(self) -> float | None:
        """What an answer takes where nothing holds it up, in seconds; None as long as there are but a few.

        The median of the provider's answers where these were seen, else the quicker quarter of the items.
        """
        if sum(self._attempts_took) >= _ENOUGH:
            return self.attempt_latencies().quantile(0.5)
        return self.latencies().quantile(0.25) if sum(self._took) >= _ENOUGH else None

    def keys_at(self, end_s: float) -> tuple[KeyRecord, ...]:
        """What each key did in the run, which ends then; in the order in which they were first seen."""
        return tuple(key.record(end_s, self._bins) for key in self._keys.values())

    def share(self, end_s: float, possible_per_minute: float | None) -> float | None:
        """Share of the possible rate that was reached, as ``share_of`` counts it, in a run that ends then."""
        minutes = int(end_s / self._minute)
        recent = sum(count for minute, count in self._by_minute.items() if 1 <= minute < minutes)
        return share_of(self._before + recent, minutes - 1, possible_per_minute)


def share_of(answered: int, minutes: int, possible_per_minute: float | None) -> float | None:
    """The share of the possible rate that a run has reached.

    The first minute does not count, since it begins with windows that are empty or full by chance; nor does a last one
    that is not over.

    Args:
        answered: Answers of the whole minutes of the provider's after the first.
        minutes: How many these are.
        possible_per_minute: What the limits allow in one of them; None where there are none.

    Returns:
        The share; None where there is no such minute, or nothing is possible or limited.
    """
    if minutes < 1 or not possible_per_minute:
        return None
    return answered / (minutes * possible_per_minute)


class _Key:
    """One key in the run."""

    __slots__ = (
        "counts", "failed", "failed_before", "last", "reason", "since", "standing", "stretches", "until", "uses",
        "uses_before",
    )  # fmt: skip

    def __init__(self, status: KeyStatus, *, is_new: bool) -> None:
        self.last = status
        self.uses = self.failed = 0
        self.uses_before = 0 if is_new else status.uses  # at the last look
        self.failed_before = 0 if is_new else status.failed
        self.counts: list[int] = []
        self.stretches: list[Stretch] = []
        self.standing = _OPEN
        self.reason = ""
        self.since: float | None = None  # when the present stretch began
        self.until = 0.0  # when it is to be over

    def see(self, at_s: float, status: KeyStatus, first: int, last: int) -> None:
        """Note what it did, in these bins, and how it stands."""
        uses = _grown(self.uses_before, status.uses)
        self.uses += uses
        self.failed += _grown(self.failed_before, status.failed)
        self.uses_before, self.failed_before = status.uses, status.failed
        self.last = status
        if uses:
            self._spread(uses, first, last)
        self._stand(at_s, status)

    def _spread(self, uses: int, first: int, last: int) -> None:
        bins = last - first + 1
        for place in range(bins):
            _count(self.counts, first + place, uses * (place + 1) // bins - uses * place // bins)

    def _stand(self, at_s: float, status: KeyStatus) -> None:
        lane = _worst(status)
        standing, reason, left = (_OPEN, "", 0.0) if lane is None else (lane.standing, lane.reason, lane.seconds_left)
        if (standing, reason) != (self.standing, self.reason):
            self.end_stretch(at_s)
        if standing != _OPEN and self.since is None:
            self.since = at_s
        self.standing, self.reason, self.until = standing, reason, at_s + left

    def end_stretch(self, at_s: float) -> None:
        """The present stretch, if there is one, is over: at its own end, where that has come before."""
        if self.since is None:
            return
        self.stretches.append(Stretch(self.since, min(at_s, self.until), self.standing, self.reason))
        self.since = None
        if len(self.stretches) > _MOST_STRETCHES:
            self.stretches = join(self.stretches, _FEWER_STRETCHES)

    def record(self, end_s: float, bins: int) -> KeyRecord:
        stretches = tuple(self.stretches)
        if self.since is not None:
            stretches += (Stretch(self.since, max(min(end_s, self.until), self.since), self.standing, self.reason),)
        return KeyRecord(
            name=self.last.name,
            masked=self.last.masked,
            owner=self.last.owner,
            uses=self.uses,
            failed=self.failed,
            standing=self.standing,
            reason=self.reason,
            counts=_filled(self.counts, bins),
            stretches=stretches,
        )


def _worst(status: KeyStatus) -> LaneStatus | None:
    """The lane that keeps a key out: one for all models before one of a model; None where none does."""
    out = [lane for lane in status.lanes if lane.seconds_left > 0]
    return max(out, key=lambda lane: (lane.model is None, lane.seconds_left), default=None)


def _grown(before: int, now: int) -> int:
    """By how much a counter has grown; one that is smaller has begun anew."""
    return now - before if now >= before else now


def _count(counts: list[int], place: int, number: int) -> None:
    missing = place + 1 - len(counts)
    if missing > 0:
        counts.extend([0] * missing)
    counts[place] += number


def _halve(counts: list[int]) -> None:
    if len(counts) % 2:
        counts.append(0)
    counts[:] = [one + other for one, other in zip(counts[::2], counts[1::2], strict=True)]


def _filled(counts: list[int], bins: int) -> tuple[int, ...]:
    return (*counts, *[0] * (bins - len(counts)))


def _place_of(seconds: float) -> int:
    return min(bisect_left(_EDGES_S, seconds), len(_EDGES_S) - 1)


def _latencies(counts: list[int]) -> Latencies:
    return Latencies(_EDGES_S, tuple(counts)) if any(counts) else Latencies()
