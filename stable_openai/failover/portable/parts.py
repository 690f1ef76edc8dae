"""What an exception carries, made fit for another process.

Plain data goes as it is. Of a request go the method and the address: its headers hold the key, its body may be large.
A response keeps status, headers and what was read of its body, and is the library's own response over there. Other
objects go as pickles of their own, or as the text of their ``repr``. The keys that the requests carried are masked
wherever else they stand, as in the body of a provider that repeats them.
"""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any, Final

from stable_openai.masking import Secret, mask
from stable_openai.verdict._masking import mask_secrets
from stable_openai.verdict.responses import attribute, is_parsed

from .classes import Frozen, restored
from .credentials import clean_url, secrets_of
from .libraries import cleaned_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Cleaner", "parts_of"]

_LONGEST_TEXT: Final = 2000
_PLAIN: Final = (type(None), bool, int, float, complex)


def parts_of(error: BaseException, of_the_system: Iterable[str]) -> tuple[Any, ...]:
    """What ``rebuild`` makes an exception from: ``args``, attributes, the system's own, the cause."""
    cleaner = Cleaner(secrets_of(error))
    attributes = {name: cleaner.part(value) for name, value in vars(error).items()}
    extra = {name: attribute(error, name) for name in of_the_system if isinstance(error, OSError)}
    told = {name: cleaner.part(value) for name, value in extra.items() if value is not None}
    cause = error.__cause__
    kept = None if cause is None or cause is error else cleaner.frozen([cause], cleaner.masked(_words(cause)))
    return [cleaner.part(value) for value in error.args], attributes, told, kept


class Cleaner:
    """Makes values portable.

    Args:
        secrets: What is masked in them, those first that others may be part of.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._masks = {secret: mask(secret) for secret in secrets}

    def part(self, value: Any) -> Any:
        """A value in a form that can be pickled, whatever it is."""
        try:
            return self._portable(value)
        except Exception:  # noqa: BLE001  # foreign objects raise anything
            return Frozen(b"", self._shown(value))

    def _portable(self, value: Any) -> Any:
        kind = type(value)
        if isinstance(value, Secret):
            return mask(value)
        if kind in _PLAIN:
            return value
        if kind in {str, bytes}:
            return self.masked(value)
        if kind in {list, tuple}:
            return kind(self.part(entry) for entry in value)
        if kind is dict:
            return {self.part(name): self.part(entry) for name, entry in value.items()}
        clean = cleaned_by(kind)
        forms = _plainer_and_plainer(value, self) if clean is None else [clean(value, self)]
        return self.frozen(forms, self._shown(value))

    def frozen(self, forms: Iterable[Any], text: str) -> Frozen:
        """The first of some forms of a value that can be pickled; where there is none, its text."""
        for form in forms:
            data = _pickled(form)
            if data and not any(secret.encode() in data for secret in self._masks):
                return Frozen(data, text)
        return Frozen(b"", text)

    def masked(self, value: Any) -> Any:
        """Text or bytes without the secrets."""
        for secret, shown in self._masks.items():
            value = value.replace(secret, shown) if isinstance(value, str) else _without(value, secret, shown)
        return value

    def address(self, url: Any) -> str:
        """A URL without secrets."""
        return str(self.masked(clean_url(str(url))))

    def _shown(self, value: Any) -> str:
        try:
            text = repr(value)[:_LONGEST_TEXT]
        except Exception:  # noqa: BLE001  # as above
            text = f"<{type(value).__qualname__}>"
        return mask_secrets(str(self.masked(text)))


def _pickled(form: Any) -> bytes:
    try:
        return pickle.dumps(form)
    except Exception:  # noqa: BLE001  # foreign objects raise anything
        return b""


def _without(value: bytes, secret: str, shown: str) -> bytes:
    return value.replace(secret.encode(), shown.encode())


def _words(error: BaseException) -> str:
    try:
        text = str(error)[:_LONGEST_TEXT]
    except Exception:  # noqa: BLE001  # a foreign __str__ may raise anything
        text = ""
    return mask_secrets(f"{type(error).__qualname__}: {text}")


def _plainer_and_plainer(value: Any, cleaner: Cleaner) -> Iterator[Any]:
    """A value, and then what can stand for it where it can't be pickled."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        yield type(value)._make(restored(cleaner.part(field)) for field in value)  # type: ignore[attr-defined]
        return
    yield value
    if is_parsed(value):  # a pydantic model whose class has no name that could be found, as generic ones: one above it
        for kind in type(value).__mro__[1:-1]:
            if hasattr(kind, "construct"):
                yield kind.construct(**value.model_dump())
    if callable(attribute(value, "read")):
        yield io.BytesIO()  # a connection or a file: what was not read stays where it is
