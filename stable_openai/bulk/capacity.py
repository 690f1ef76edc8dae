"""What the limits of a pool's keys allow, by its status: how many answers a second, and in what time so many at least.

Rules of this file:

* A status tells how much of a window is used, and not when. What is used is taken to leave evenly over the window's
  length, and what is allowed now to be used at once, so that it is allowed again one length later.
* Where several windows count, the tightest at each moment does. That promises a little too much rather than too
  little: ``seconds_for`` is what it takes at least.
* Calls at once (``max_concurrency``) and the models that a key is for are not in it: a status has neither.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stable_openai.stores.snapshots import KeyStatus, LaneStatus, WindowStatus

__all__ = ["Capacity"]

_INFINITY: Final = math.inf
_OUT: Final = frozenset({"retired", "parked", "barred"})
_SOON: Final = 60.0  # seconds
_MOMENT: Final = 2.0**-20  # seconds: what is less is that
_PRECISION: Final = 2.0**-8  # of a time: a quarter of a minute in an hour


class _Source(NamedTuple):
    """A key or an owner: its windows, and in how many seconds it is back."""

    windows: tuple[WindowStatus, ...]
    rest: float


class _Group(NamedTuple):
    """Keys that share an owner; or all those that have none, which share nothing: then there are no windows of one."""

    owner: _Source
    keys: tuple[_Source, ...]


class _Curve(NamedTuple):
    """How many answers a window allows from when its key is there, and as many again after its length.

    Attributes:
        limit: In each length.
        seconds: The length.
        left: At once.
        back: Those of the rest, which come back evenly.
        pace: How many times faster than over the whole length: a part of it was over before the key was there.
    """

    limit: float
    seconds: float
    left: float
    back: float
    pace: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the limits allow. Made by ``Capacity.of``; a picture of one moment.

    Attributes:
        up: Keys that may be used now, their limits aside.
        resting: Keys that are cooling down.
        out: Keys that are retired or parked, or barred from the model.
    """

    up: int
    resting: int
    out: int
    _groups: tuple[_Group, ...]

    @classmethod
    def of(cls, statuses: Iterable[KeyStatus], model: str | None = None) -> Capacity:
        """See what the keys allow.

        Args:
            statuses: Of all keys, as ``pool.status()`` gives them.
            model: The model that is asked. Without one, each call is taken to go through the tightest of its key's
                lanes: a model's windows count like the others, and a key rests while one of its models cools down. That
                a key is barred from some model does not put it out then.
        """
        up = resting = out = 0
        keys: dict[str | None, list[_Source]] = {}
        shared: dict[str | None, dict[tuple[str | None, str, float], WindowStatus]] = {}
        for status in statuses:
            lanes = _lanes_for(status, model)
            if lanes is None:
                out += 1
                continue
            rest = max((lane.seconds_left for lane in lanes), default=0.0)
            if rest > 0:
                resting += 1
            else:
                up += 1
            own = tuple(window for lane in lanes if not _is_owners(lane) for window in lane.windows)
            keys.setdefault(status.owner, []).append(_Source(own, rest))
            _add_shared(shared.setdefault(status.owner, {}), lanes)
        groups = tuple(
            _Group(_Source(tuple(shared[name].values()), min(key.rest for key in members)), tuple(members))
            for name, members in keys.items()
        )
        return cls(up, resting, out, groups)

    def per_second(self, tokens_each: float = 0.0, *, over: float = _INFINITY) -> float | None:
        """Answers a second in the long run, keys that cool down included; None where nothing limits them.

        Args:
            tokens_each: Tokens that an answer takes, its prompt included. Limits of tokens count only with this; a
                window that is smaller than one answer lets none through.
            over: How long the run lasts, in seconds: of longer windows, it has the whole limit for itself. ``over=60``
                tells what a minute allows, even where a day allows no more than that.
        """
        rate = sum(_rate_of(group, tokens_each, over) for group in self._groups)
        return None if rate == _INFINITY else rate

    def seconds_for(self, count: int, tokens_each: float = 0.0) -> float | None:
        """The least time in which so many answers are allowed from now on, in seconds.

        What is left of the windows now is used first, and a key that cools down is back after its rest. At most a part
        in 250 too long, and never shorter for more answers.

        Args:
            count: How many.
            tokens_each: As above.

        Returns:
            The time; 0 where so many are allowed at once, None where nothing limits them, infinity where they never
            are.
        """
        if count <= 0:
            return 0.0
        groups = [_curves_of(group, tokens_each) for group in self._groups]
        now = _allowed(groups, 0.0)
        if now >= count:
            return None if now == _INFINITY else 0.0
        if self.per_second(tokens_each) == 0:
            return _INFINITY
        soon = self.per_second(tokens_each, over=_SOON)
        return _first(groups, count, count / soon if soon else _SOON)


def _lanes_for(status: KeyStatus, model: str | None) -> list[LaneStatus] | None:
    """The lanes that a call goes through; None where one of them lets nothing through for long."""
    found = []
    for lane in status.lanes:
        out = lane.standing in _OUT or lane.seconds_left == _INFINITY
        if lane.model is None or lane.model == model:
            if out:
                return None
            found.append(lane)
        elif model is None and not out:
            found.append(lane)
    return found


def _is_owners(lane: LaneStatus) -> bool:
    return lane.kind.startswith("owner")


def _add_shared(found: dict[tuple[str | None, str, float], WindowStatus], lanes: Iterable[LaneStatus]) -> None:
    """Add the owner's windows, which each of its keys shows, though not always all of them."""
    for lane in lanes:
        if _is_owners(lane):
            for window in lane.windows:
                found.setdefault((lane.model, window.what, window.seconds), window)


def _need(window: WindowStatus, tokens_each: float) -> float:
    """What an answer takes of a window; 0 where the window does not count."""
    return tokens_each if window.what == "tokens" else 1.0


# -- in the long run


def _rate_of(group: _Group, tokens_each: float, over: float) -> float:
    own = sum(_slowest(key.windows, tokens_each, over) for key in group.keys)
    return min(own, _slowest(group.owner.windows, tokens_each, over))


def _slowest(windows: Iterable[WindowStatus], tokens_each: float, over: float) -> float:
    rate = _INFINITY
    for window in windows:
        need = _need(window, tokens_each)
        if need > window.limit:
            return 0.0
        if need > 0:
            rate = min(rate, window.limit / need / min(window.seconds, over))
    return rate


# -- from now on


class _Curves(NamedTuple):
    """What an owner allows and what its keys allow, each with the moment at which it begins."""

    owner: tuple[list[_Curve], float]
    keys: list[tuple[list[_Curve], float]]


def _curves_of(group: _Group, tokens_each: float) -> _Curves:
    """What is allowed from now on; keys of one window each are drawn as one where these are alike."""
    owner, keys = group
    drawn = []
    alike: dict[tuple[float, float], _Curve] = {}
    for key in keys:
        curves = _draw(key, tokens_each)
        if len(curves) == 1:
            (curve,) = curves
            place = (curve.seconds, key.rest)
            alike[place] = _both(alike[place], curve) if place in alike else curve
        else:
            drawn.append((curves, key.rest))
    drawn += [([curve], rest) for (_, rest), curve in alike.items()]
    return _Curves((_draw(owner, tokens_each), owner.rest), drawn)


def _both(one: _Curve, other: _Curve) -> _Curve:
    return _Curve(one.limit + other.limit, one.seconds, one.left + other.left, one.back + other.back, one.pace)


def _draw(source: _Source, tokens_each: float) -> list[_Curve]:
    """What each window allows from when the key is back; what is used by then has left in part."""
    found = []
    for window in source.windows:
        need = _need(window, tokens_each)
        if need <= 0:
            continue
        if need > window.limit:
            return [_Curve(0.0, window.seconds, 0.0, 0.0, 1.0)]
        stays = max(1.0 - source.rest / window.seconds, 0.0)
        back = min(window.used, window.limit) * stays
        pace = 1.0 / stays if stays else 1.0
        found.append(_Curve(window.limit / need, window.seconds, (window.limit - back) / need, back / need, pace))
    return found


def _least(curves: list[_Curve], seconds: float) -> float:
    found = _INFINITY
    for limit, period, left, back, pace in curves:
        times = seconds / period
        whole = int(times)
        part = (times - whole) * pace
        allowed = limit * whole + left + (back * part if part < 1.0 else back)
        if allowed < found:  # noqa: PLR1730  # min() takes longer than all the rest
            found = allowed
    return found


def _allowed(groups: list[_Curves], seconds: float) -> float:
    """How many answers are allowed until then."""
    found = 0.0
    for (shared, begins), keys in groups:
        whole = 0.0
        for curves, rest in keys:
            if seconds >= rest:
                whole += _least(curves, seconds - rest)
        found += min(whole, _least(shared, seconds - begins)) if shared and whole else whole
    return found


def _first(groups: list[_Curves], count: int, guess: float) -> float:
    """The first moment at which so many are allowed; now it is not.

    Halves a time that is a power of two: wherever the search begins, it comes upon the same moments, and so more
    answers never seem to take less time.
    """
    high = math.ldexp(1.0, math.frexp(guess)[1])
    while _allowed(groups, high) < count:
        high *= 2
    low = high / 2
    while low > _MOMENT and _allowed(groups, low) >= count:
        high, low = low, low / 2
    while high - low > high * _PRECISION:
        middle = (low + high) / 2
        if _allowed(groups, middle) >= count:
            high = middle
        else:
            low = middle
    return high
