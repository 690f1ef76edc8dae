"""Limits as a user tells them: so much of something in so long a time."""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from .errors import ConfigurationError
from .near_names import is_unknown

__all__ = ["DAY", "MINUTE", "Limits", "Spread", "Window", "as_limits"]

MINUTE: Final = 60.0
DAY: Final = 86_400.0

_SHORTHANDS: Final[tuple[tuple[str, Literal["requests", "tokens"], float], ...]] = (
    ("rpm", "requests", MINUTE),
    ("tpm", "tokens", MINUTE),
    ("rpd", "requests", DAY),
    ("tpd", "tokens", DAY),
)


@dataclass(frozen=True, slots=True)
class Window:
    """At most ``limit`` requests or tokens in any ``seconds`` seconds, or in each calendar day or month.

    Args:
        what: ``"requests"`` or ``"tokens"``.
        limit: How many, at least 1.
        seconds: The length of a sliding window, in seconds.
        calendar: ``"day"`` or ``"month"`` instead of ``seconds``: counts start again at midnight, or on the first.
        zone: The IANA time zone whose midnight that is.

    Raises:
        ConfigurationError: A field is wrong; the message names it.
    """

    what: Literal["requests", "tokens"]
    limit: int
    seconds: float | None = None
    calendar: Literal["day", "month"] | None = None
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.what not in ("requests", "tokens"):
            raise ConfigurationError("window.what", f"must be 'requests' or 'tokens', not {self.what!r}")
        _check_count("window.limit", self.limit)
        if (self.seconds is None) == (self.calendar is None):
            raise ConfigurationError("window", "give either seconds or calendar")
        if self.seconds is not None and not _is_positive(self.seconds):
            raise ConfigurationError("window.seconds", f"must be a positive number of seconds, not {self.seconds!r}")
        if self.calendar not in (None, "day", "month"):
            raise ConfigurationError("window.calendar", f"must be 'day' or 'month', not {self.calendar!r}")
        _check_zone("window.zone", self.zone)

    def __str__(self) -> str:
        per = f"calendar {self.calendar} ({self.zone})" if self.calendar else _spell(self.seconds or 0.0)
        return f"{self.limit} {self.what} per {per}"


class Spread(Window):
    """A window that only spreads the grants of another: nobody enforces it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key, a key and a model, an owner, or an owner and a model may use. None means: not told.

    Args:
        rpm: Requests in any 60 seconds.
        rpd: Requests in any 24 hours, or in a calendar day of ``zone``.
        tpm: Tokens in any 60 seconds.
        tpd: Tokens in any 24 hours, or in a calendar day of ``zone``.
        max_concurrency: Requests in flight at once.
        windows: Further windows, for providers that count by ten seconds, the hour or the month.
        zone: An IANA time zone such as ``"America/Los_Angeles"``: ``rpd`` and ``tpd`` then count that zone's days.

    Raises:
        ConfigurationError: A field is wrong; the message names it.
    """

    rpm: int | None = None
    rpd: int | None = None
    tpm: int | None = None
    tpd: int | None = None
    max_concurrency: int | None = None
    windows: tuple[Window, ...] = field(default=())
    zone: str | None = None

    def __post_init__(self) -> None:
        for name in ("rpm", "rpd", "tpm", "tpd", "max_concurrency"):
            value = getattr(self, name)
            if value is not None:
                _check_count(f"limits.{name}", value)
        if self.zone is not None:
            _check_zone("limits.zone", self.zone)
        if not isinstance(self.windows, (list, tuple)):
            raise ConfigurationError("limits.windows", f"must be a list of windows, not {type(self.windows).__name__}")
        windows = tuple(self.windows)
        for index, window in enumerate(windows):
            if not isinstance(window, Window):
                raise ConfigurationError(f"limits.windows[{index}]", f"must be a Window, not {type(window).__name__}")
        object.__setattr__(self, "windows", windows)

    def all_windows(self, scale: float = 1.0, *, pace: bool = False) -> tuple[Window, ...]:
        """Every window, the shorthands spelled out, the shortest first.

        Args:
            scale: How long a second of the shorthands lasts, for rehearsals in scaled time.
            pace: Whether to add one that spreads the tightest sliding window of requests evenly.
        """
        return _windows_of(self, scale, pace=pace)

    @property
    def counts_tokens(self) -> bool:
        """Whether any of them is about tokens."""
        return self.tpm is not None or self.tpd is not None or any(window.what == "tokens" for window in self.windows)

    def __bool__(self) -> bool:
        return bool(self.windows) or any(
            value is not None for value in (self.rpm, self.rpd, self.tpm, self.tpd, self.max_concurrency)
        )


@functools.lru_cache(maxsize=1024)  # thousands of keys have the same limits
def _windows_of(limits: Limits, scale: float, *, pace: bool) -> tuple[Window, ...]:
    found = [*limits.windows]
    for name, what, seconds in _SHORTHANDS:
        limit = getattr(limits, name)
        if limit is None:
            continue
        if seconds == DAY and limits.zone is not None:
            found.append(Window(what, limit, calendar="day", zone=limits.zone))
        else:
            found.append(Window(what, limit, seconds=seconds * scale))
    spreads = [window.seconds / window.limit for window in found if window.what == "requests" and window.seconds]
    if pace and spreads:
        found.append(Spread("requests", 1, seconds=max(spreads)))
    return tuple(sorted(found, key=lambda window: window.seconds or DAY))


_NONE: Final = Limits()  # frozen, so one for all keys that say nothing


def as_limits(value: Limits | Mapping[str, Any] | None, where: str = "limits") -> Limits:
    """Make ``Limits`` of themselves, of None, or of a mapping of its fields (as a TOML file has them).

    Raises:
        ConfigurationError: A field is unknown or wrong.
    """
    if value is None:
        return _NONE
    if isinstance(value, Limits):
        return value
    if not isinstance(value, Mapping):
        raise ConfigurationError(where, f"must be Limits or a table of its fields, not {type(value).__name__}")
    fields = dict(value)
    unknown = sorted(set(fields) - set(Limits.__dataclass_fields__))
    if unknown:
        raise ConfigurationError(f"{where}.{unknown[0]}", is_unknown(str(unknown[0]), Limits.__dataclass_fields__))
    windows = fields.get("windows", ())
    if isinstance(windows, (list, tuple)):
        fields["windows"] = [_as_window(window, f"{where}.windows[{index}]") for index, window in enumerate(windows)]
    try:
        return Limits(**fields)
    except ConfigurationError as error:
        raise ConfigurationError(error.field.replace("limits", where, 1), error.problem) from None


def _as_window(value: object, where: str) -> object:
    if not isinstance(value, Mapping):
        return value  # a Window, or what Limits refuses
    try:
        return Window(**value)
    except TypeError as error:
        raise ConfigurationError(where, str(error).replace("Window.__init__() ", "")) from None
    except ConfigurationError as error:
        raise ConfigurationError(error.field.replace("window", where, 1), error.problem) from None


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(name, f"must be a whole number of at least 1, not {value!r}")


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")


def _check_zone(name: str, zone: object) -> None:
    try:
        zoneinfo.ZoneInfo(zone)  # type: ignore[arg-type]  # that is what is being found out
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise ConfigurationError(
            name, f"must be an IANA time zone such as 'America/Los_Angeles', not {zone!r}"
        ) from None


def _spell(seconds: float) -> str:
    names = {1.0: "second", MINUTE: "minute", 3_600.0: "hour", DAY: "day"}
    return names.get(float(seconds), f"{seconds:g} s")
