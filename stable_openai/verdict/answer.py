"""What a provider answered, apart from the library that received it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stable_openai.verdict._masking import mask_secrets

_SHOWN_CHARS: Final = 160
_HEADER_CHARS: Final = 8192
_MAX_HEADERS: Final = 500
# Only these values are shown: any other header may hold a credential, a cookie or an address.
_SHOWN_HEADERS: Final = ("retry-after", "ratelimit", "rate-limit", "content-type", "date", "server")


class Headers(Mapping[str, str]):
    """Header fields looked up without regard to case (RFC 9110 §5.1); repeated fields are joined by commas (§5.3)."""

    __slots__ = ("_fields",)

    def __init__(self, source: object = None) -> None:
        """Reads a mapping, an object with `items()` or an iterable of pairs; names and values may be bytes.

        What cannot be read as a header is left out: a broken header is no reason to lose the verdict.
        """
        self._fields: dict[str, str] = {}
        if isinstance(source, Headers):
            self._fields = dict(source._fields)
            return
        for count, pair in enumerate(_pairs(source)):
            if count >= _MAX_HEADERS:
                break
            try:
                name, value = pair
            except (TypeError, ValueError):
                continue
            if value is None or isinstance(value, (Mapping, list, tuple)):
                continue
            key, content = _text(name).strip().lower(), _text(value)[:_HEADER_CHARS].strip()
            if not key:
                continue
            before = self._fields.get(key)
            self._fields[key] = content if before is None or before == content else f"{before}, {content}"

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        """Names all fields, and the values of those alone that tell of limits."""
        shown = (
            f"{name!r}: {mask_secrets(value[:_SHOWN_CHARS])!r}"
            if any(part in name for part in _SHOWN_HEADERS)
            else f"{mask_secrets(name)!r}: …"
            for name, value in self._fields.items()
        )
        return "{" + ", ".join(shown) + "}"


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """An HTTP answer, or what an exception keeps of one.

    Attributes:
        status: the HTTP status, None where none is known (an error event inside a stream).
        headers: any mapping or list of pairs; kept as `Headers`, which ignores case.
        body: what the provider sent, as far as it is at hand: a parsed JSON value, text, bytes or None.
        source: the response or exception that this was read from, for rules of users; no part of equality or repr.
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=Headers)
    body: Any = None
    source: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Makes the headers ignore case."""
        if not isinstance(self.headers, Headers):
            object.__setattr__(self, "headers", Headers(self.headers))

    def __repr__(self) -> str:
        """Shows no header that may hold a credential, masks what has the shape of a key, and cuts the body."""
        body = "" if self.body is None else f", body={_excerpt(self.body)}"
        return f"Answer(status={self.status}, headers={self.headers!r}{body})"


def _pairs(source: object) -> Iterable[Any]:
    if source is None or isinstance(source, (str, bytes)):
        return ()
    items = getattr(source, "items", None)
    try:
        found = items() if callable(items) else source
        return found if isinstance(found, Iterable) else ()
    except Exception:  # noqa: BLE001  # a foreign mapping that breaks has no headers for us
        return ()


def _text(value: object) -> str:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("latin-1")
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # a foreign __str__ may raise anything
        return ""


def _excerpt(body: object) -> str:
    if isinstance(body, (bytes, bytearray)):
        body = bytes(body[: _SHOWN_CHARS * 2]).decode("utf-8", "replace")
    if isinstance(body, str):
        # Cut well behind what is shown, so that no key is halved before it is masked.
        masked = mask_secrets(body[: _SHOWN_CHARS * 4])
        return repr(masked if len(masked) <= _SHOWN_CHARS else masked[:_SHOWN_CHARS] + "…")
    return f"<{type(body).__name__}>" if not isinstance(body, (dict, list)) else _excerpt(_text(body))
