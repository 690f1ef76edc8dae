"""A pool's options, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import ConfigurationError
from stable_openai.key_sources import placed_in_file
from stable_openai.keys import split_limits
from stable_openai.limits import MINUTE, Limits, as_limits
from stable_openai.near_names import is_unknown
from stable_openai.stores.opening import MEMORY, check_store
from stable_openai.stores.orders import StrategyLike, check_strategy

if TYPE_CHECKING:
    import os

    from stable_openai.clock import Clock

__all__ = ["Options", "check_in_file", "check_seconds"]

_LIMIT_FIELDS: Final = tuple(Limits.__dataclass_fields__)
_ON_STORE_ERROR: Final = ("local", "raise")
_CLOCK: Final = ("monotonic", "time", "call_at", "sleep", "asleep")


@dataclass(frozen=True)
class Options:
    """The options of a ``KeyPool``, as its docstring has them."""

    strategy: StrategyLike = "round-robin"
    limits: Limits = field(default_factory=Limits)
    owners: Mapping[str, tuple[Limits, dict[str, Limits]]] = field(default_factory=dict)
    store: str = MEMORY
    on_store_error: str = "local"
    store_timeout: float = 2.0
    lease_ttl: float = 30.0
    max_wait: float = 120.0
    timeout: float | None = None
    pace: bool = False
    minute: float = MINUTE
    rules: tuple[Callable[..., Any], ...] = ()
    clock: Clock | None = None
    given: frozenset[str] = frozenset()

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """Check options and give the others their defaults.

        Raises:
            ConfigurationError: An option is unknown or wrong; the message names it.
        """
        rest = dict(options)
        given = frozenset(rest)
        loose = {name: rest.pop(name) for name in _LIMIT_FIELDS if name in rest}
        limits = as_limits(rest.pop("limits", None))
        if loose:
            if limits:
                raise ConfigurationError("limits", f"give either limits or {', '.join(loose)}")
            limits = as_limits(loose)
        unknown = sorted(set(rest) - set(cls.__dataclass_fields__) | {"given"} & set(rest))
        if unknown:
            known = sorted({*cls.__dataclass_fields__, *_LIMIT_FIELDS} - {"given"})
            raise ConfigurationError(unknown[0], is_unknown(unknown[0], known, "is no option of a pool"))
        rest["strategy"] = check_strategy(rest.get("strategy", "round-robin"))
        rest["owners"] = _owners(rest.get("owners", {}))
        rest["max_wait"] = check_seconds("max_wait", rest.get("max_wait", 120.0))
        if rest.get("timeout") is not None:
            rest["timeout"] = check_seconds("timeout", rest["timeout"])
        if check_seconds("minute", rest.get("minute", MINUTE)) == 0:
            raise ConfigurationError("minute", "must be a positive number of seconds")
        if not isinstance(rest.get("pace", False), bool):
            raise ConfigurationError("pace", f"must be True or False, not {rest['pace']!r}")
        rest["rules"] = _rules(rest.get("rules", ()))
        check_store(rest.get("store", MEMORY))
        if rest.get("on_store_error", "local") not in _ON_STORE_ERROR:
            raise ConfigurationError("on_store_error", f"must be 'local' or 'raise', not {rest['on_store_error']!r}")
        for name in ("store_timeout", "lease_ttl"):
            if name in rest and check_seconds(name, rest[name]) == 0:
                raise ConfigurationError(name, "must be a positive number of seconds")
        if rest.get("clock") is not None and not all(callable(getattr(rest["clock"], name, None)) for name in _CLOCK):
            raise ConfigurationError("clock", f"must have the methods {', '.join(_CLOCK)}")
        return cls(limits=limits, given=given, **rest)

    @property
    def strategy_name(self) -> str:
        """The strategy's name, or the class of the user's own."""
        return self.strategy if isinstance(self.strategy, str) else type(self.strategy).__name__

    def contradictions(self, options: Mapping[str, Any]) -> list[str]:
        """The names of those options that are given and differ from these."""
        other = Options.of(options)

        def told(known: Options, name: str) -> Any:
            return getattr(known.limits if name in _LIMIT_FIELDS else known, name)

        return sorted(name for name in other.given if told(other, name) != told(self, name))


def check_in_file(path: str | os.PathLike[str], options: Mapping[str, Any]) -> None:
    """Check the options that a file of keys has given.

    Raises:
        ConfigurationError: One is wrong; the message names the file, the line and the option.
    """
    problem = None
    try:
        Options.of(options)
    except ConfigurationError as error:
        problem = placed_in_file(path, error)
    if problem is not None:
        raise problem


def _owners(owners: object) -> dict[str, tuple[Limits, dict[str, Limits]]]:
    if not isinstance(owners, Mapping):
        raise ConfigurationError("owners", "must map an owner's name to its limits")
    return {str(name): split_limits(limits, f"owners[{name!r}]") for name, limits in owners.items()}


def check_seconds(name: str, value: object) -> float:
    """A number of seconds from 0 up.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ConfigurationError(name, f"must be a number of seconds from 0 up, not {value!r}")
    return float(value)


def _rules(rules: object) -> tuple[Callable[..., Any], ...]:
    found = (rules,) if callable(rules) else tuple(rules) if isinstance(rules, (list, tuple)) else None
    if found is None or not all(callable(rule) for rule in found):
        raise ConfigurationError("rules", "must be a callable or a list of them")
    return found
