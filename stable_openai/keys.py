"""Keys and owners as a user tells them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import ConfigurationError
from .limits import Limits, as_limits
from .masking import hide, mask
from .near_names import is_unknown

__all__ = ["Key", "as_keys", "split_limits"]

ANY_MODEL = "*"
_FIELDS = ("secret", "name", "owner", "base_url", "deployment", "models", "limits", "weight")


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """One credential and what its holder tells of it.

    Args:
        secret: What goes into the Authorization header. Never shown: ``repr`` and messages have it masked.
        name: How it is called in status rows, logs and events; unique in a pool. Default: its place and mask.
        owner: The organisation, project or account whose quota it draws on; keys of one owner share its limits.
        base_url: The endpoint it belongs to, where that is not the default one.
        deployment: On Azure, the deployment that stands for any model, or a mapping of models to deployments; None: as
            the client has it.
        models: The models it may be used for; None for all.
        limits: ``Limits`` of the key, or a mapping of model to ``Limits`` (``"*"`` for the key as a whole).
        weight: Its share under the strategy ``weighted``, a positive number.

    Raises:
        ConfigurationError: A field is wrong; the message names the field and never shows the secret.
    """

    secret: str = field(repr=False)
    name: str | None = None
    owner: str | None = None
    base_url: str | None = None
    deployment: str | Mapping[str, str] | None = None
    models: frozenset[str] | None = None
    limits: Limits = field(default_factory=Limits)
    model_limits: Mapping[str, Limits] = field(default_factory=dict)
    weight: float = 1.0

    def __init__(
        self,
        secret: str,
        *,
        name: str | None = None,
        owner: str | None = None,
        base_url: str | None = None,
        deployment: str | Mapping[str, str] | None = None,
        models: Iterable[str] | None = None,
        limits: Limits | Mapping[str, Any] | None = None,
        weight: float = 1.0,
    ) -> None:
        secret = hide(secret)
        problem = _fault_of(secret)
        if problem:
            raise ConfigurationError("key", problem)
        for label, value in (("name", name), ("owner", owner), ("base_url", base_url)):
            problem = _fault_of_label(value, secret)
            if problem:
                raise ConfigurationError(f"key.{label}", problem)
        for deployed in _deployments(deployment):
            problem = _fault_of_label(deployed, secret)
            if problem:
                raise ConfigurationError("key.deployment", problem)
        _check_weight(weight)
        own, by_model = split_limits(limits, "key.limits")
        put = object.__setattr__
        put(self, "secret", secret)
        put(self, "name", name)
        put(self, "owner", owner)
        put(self, "base_url", base_url)
        put(self, "deployment", dict(deployment) if isinstance(deployment, Mapping) else deployment)
        put(self, "models", None if models is None else _models(models))
        put(self, "limits", own)
        put(self, "model_limits", by_model)
        put(self, "weight", float(weight))

    @classmethod
    def as_given(cls, secret: str) -> Key:
        """A key of a secret that nobody has looked at: for clients, which send what they are given as it is."""
        key = cls("unchecked")
        object.__setattr__(key, "secret", hide(secret))
        return key

    @property
    def masked(self) -> str:
        """The secret as it may be shown, ``sk-…abcd``."""
        return mask(self.secret)

    def __repr__(self) -> str:
        if getattr(self, "weight", None) is None:
            return "<Key, not finished>"  # in the traceback of a field that was refused
        owner = f", owner={self.owner!r}" if self.owner else ""
        return f"<Key {self.name or '(unnamed)'} {self.masked}{owner}>"


def split_limits(value: Limits | Mapping[str, Any] | None, where: str) -> tuple[Limits, dict[str, Limits]]:
    """Tell limits of a whole (``Limits``, or its fields) from limits by model (a mapping of names to either)."""
    if not isinstance(value, Mapping) or set(value) & set(Limits.__dataclass_fields__):
        return as_limits(value, where), {}
    for name, limits in value.items():
        if isinstance(limits, (int, str)):  # no model's limits: a field of them was meant
            raise ConfigurationError(f"{where}.{name}", is_unknown(str(name), Limits.__dataclass_fields__))
    by_model = {model: as_limits(limits, f"{where}[{model!r}]") for model, limits in value.items()}
    return by_model.pop(ANY_MODEL, Limits()), by_model


def as_keys(keys: str | Key | Iterable[str | Key | Mapping[str, Any]]) -> list[Key]:
    """Make keys of secrets, ``Key`` objects and mappings of their fields; names the place of a bad one.

    An ``...`` among them is left out, so that a list that is copied from an example works.

    Raises:
        ConfigurationError: A key is bad, or the same secret or name stands there twice.
    """
    keys = hide(keys)  # a traceback shows locals
    if isinstance(keys, (str, Key)) or (isinstance(keys, Mapping) and "secret" in keys):
        keys = [keys]
    if isinstance(keys, (bytes, Mapping)) or not isinstance(keys, Iterable):
        raise ConfigurationError("keys", f"must be a list of keys, not {type(keys).__name__}")
    entries = hide(list(keys))
    found: list[Key] = []
    seen: dict[str, int] = {}
    for index, entry in enumerate(entries):
        if entry is ...:
            continue  # "and so on", as examples have it: it stands for keys that aren't there
        key = _as_key(entry, f"keys[{index}]")
        if key.secret in seen:
            raise ConfigurationError(f"keys[{index}]", f"is the same as keys[{seen[key.secret]}] ({key.masked})")
        seen[key.secret] = index
        found.append(key)
    names: set[str] = set()
    for key, index in zip(found, seen.values(), strict=True):
        if key.name in names:
            raise ConfigurationError(f"keys[{index}].name", f"two keys have the name {key.name!r}")
        if key.name is not None:
            names.add(key.name)
    return found


def _as_key(entry: object, where: str) -> Key:
    if isinstance(entry, Key):
        return entry
    try:
        if isinstance(entry, Mapping):
            return Key(**_fields_of(entry))
        return Key(entry)  # type: ignore[arg-type]  # Key itself refuses what is no text
    except ConfigurationError as error:
        field = error.field.removeprefix("key").lstrip(".") or ("secret" if isinstance(entry, Mapping) else "")
        raise ConfigurationError(f"{where}.{field}" if field else where, error.problem) from None


def _fields_of(entry: Mapping[Any, Any]) -> dict[str, Any]:
    unknown = [str(name) for name in entry if name not in _FIELDS]
    if unknown:
        raise ConfigurationError(unknown[0], is_unknown(unknown[0], _FIELDS))
    if "secret" not in entry:
        raise ConfigurationError("secret", "is missing")
    return dict(entry)


def _deployments(value: object) -> list[object]:
    if not isinstance(value, Mapping):
        return [value]
    return [text for pair in value.items() for text in pair]


def _check_weight(weight: object) -> None:
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < float("inf"):
        raise ConfigurationError("key.weight", f"must be a positive number, not {weight!r}")


def _models(models: object) -> frozenset[str]:
    if isinstance(models, (str, bytes, Mapping)) or not isinstance(models, Iterable):
        raise ConfigurationError("key.models", f"must be a list of model names, not {type(models).__name__}")
    found = list(models)
    if not found:
        raise ConfigurationError("key.models", "is empty, so the key would never be used; leave it out for all models")
    if not all(isinstance(model, str) and model for model in found):
        raise ConfigurationError("key.models", "must hold names of models")
    return frozenset(found)


def _fault_of_label(value: object, secret: str) -> str | None:
    """What is wrong with a name, an owner or an address: all of them are shown."""
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        return "must be a text that is not empty"
    if not value.isprintable():
        return "has a line break or a control character in it"
    if secret in value:
        return "holds the secret itself, and would be shown"
    return None


def _fault_of(secret: object) -> str | None:
    """What is wrong with a secret, in words that do not show it."""
    if not isinstance(secret, str):
        return f"must be a text, not {type(secret).__name__}"
    if not secret:
        return "is empty"
    if not secret.isascii():
        return "has a character that is not ASCII; was it copied with a typographic dash or quote?"
    if secret.split() != [secret]:
        return "has white space or a line break in or around it"
    if not secret.isprintable():
        return "has a control character in it"
    return None
