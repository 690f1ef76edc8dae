"""Reading of bodies: JSON in all its wrappings, pages, broken JSON; what they say, bounded in time and size."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stable_openai.verdict._text import MAX_BODY_CHARS, MAX_TEXT_CHARS, decode, looks_like_html, strip_markup, word_set

_MAX_DEPTH: Final = 12
_MAX_NODES: Final = 600
_MAX_CODE_CHARS: Final = 120
_TRAILING_CHARS: Final = 200

_MESSAGE_KEYS: Final = word_set(
    "message msg detail details error errors error_description error_msg error_message errormessage errmsg "
    "status_msg raw "
    "htmlmessage reason title description html_message message_raw cause failure exception statusmessage warning "
    "lasterror incomplete_details"
)
_CODE_KEYS: Final = word_set(
    "code type status reason error_type errortype error_code errorcode err_code errcode error status_code "
    "statuscode __type "
    "quotaid limit_type limittype category kind name title subcode internal_code policyname"
)
_MODEL_KEYS: Final = frozenset({"model", "model_name", "model_id", "modelid", "base_model"})
_WAIT_KEYS: Final = word_set(
    "retrydelay retry_delay retry_after retryafter retry_after_seconds retryafterseconds estimated_time wait_time "
    "resets_in_seconds resets_in reset_in retry_in wait_seconds"
)
_WAIT_MS_KEYS: Final = frozenset({"retry_after_ms", "retryafterms", "reset_in_ms"})
_INSTANT_KEYS: Final = frozenset(
    {"resets_at", "reset_at", "resetsat", "resetat", "retry_at", "reset_time", "resettime"}
)
# What the caller sent comes back under these: words of the caller, not of the provider.
_ECHO_KEYS: Final = word_set(
    "input prompt messages failed_generation loc ctx url param parameter params arguments request request_body "
    "content "
    "choices output usage user user_id id request_id links provenance stack stack_trace traceback"
)
_BROKEN_FIELD: Final = re.compile(
    r"[\"'] ?(code|type|status|reason|error_code|error_type|quotaId|retryDelay|model|@type)[\"']\s{0,4}:\s{0,4}"
    r"(?:[\"']([^\"'\n]{1,120})[\"']|(-?\d{1,9}))"
)


@dataclass(slots=True)
class Body:
    """What a body says, gathered from all its levels, outermost first."""

    texts: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    types: set[str] = field(default_factory=set)
    numbers: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    waits: list[object] = field(default_factory=list)
    waits_ms: list[object] = field(default_factory=list)
    instants: list[object] = field(default_factory=list)
    headers: dict[str, object] = field(default_factory=dict)
    html: bool = False
    nodes: int = 0

    @property
    def text(self) -> str:
        """All words, each once, bounded."""
        return "\n".join(dict.fromkeys(self.texts))[: MAX_TEXT_CHARS * 2]


def read_body(body: object) -> Body:
    """Gathers what `body` says; never raises, whatever it is."""
    found = Body()
    _walk(found, parse_body(body), parent="", depth=0)
    if not found.texts:
        found.texts.extend(code for code in found.codes if " " in code)
    return found


def parse_body(body: object) -> Any:
    """The JSON value of a body; a text where it is none. Looks at the first 128 KiB only."""
    if isinstance(body, (bytes, bytearray, memoryview)):
        body = decode(body)
    if not isinstance(body, str):
        return body
    text = body[:MAX_BODY_CHARS].strip("\ufeff \r\n\t\0")
    if text.startswith(("data:", "event:", ":")):
        text = _event_data(text)
    if text.startswith(("{", "[", '"')):
        parsed = _loads(text)
        return text if parsed is None else parsed
    return text


def _event_data(text: str) -> str:
    """The first piece of data of a server-sent event stream that looks like an error, else the first."""
    pieces = [line[5:].strip() for line in text.splitlines()[:200] if line.startswith("data:")]
    for piece in pieces:
        if '"error"' in piece:
            return piece
    return pieces[0] if pieces else text


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _walk(found: Body, value: object, *, parent: str, depth: int) -> None:
    found.nodes += 1
    if depth > _MAX_DEPTH or found.nodes > _MAX_NODES:
        return
    if isinstance(value, Mapping):
        _walk_object(found, value, parent=parent, depth=depth)
    elif isinstance(value, (list, tuple)):
        for item in value[:50]:
            _walk(found, item, parent=parent, depth=depth + 1)
    elif isinstance(value, (bytes, bytearray)):
        _walk_text(found, decode(value), depth=depth)
    elif isinstance(value, str):
        _walk_text(found, value, depth=depth)


def _walk_object(found: Body, value: Mapping[Any, Any], *, parent: str, depth: int) -> None:
    for count, (raw_key, item) in enumerate(list(value.items())[:200]):
        if count >= _MAX_NODES:
            break
        key = str(raw_key).strip().lower().replace("-", "")
        if key in _ECHO_KEYS or item is None:
            continue
        if key == "headers" and isinstance(item, Mapping):
            found.headers.update({str(name): field_value for name, field_value in list(item.items())[:100]})
        elif isinstance(item, (Mapping, list, tuple)):
            _walk(found, item, parent=key, depth=depth + 1)
        else:
            _take(found, key, item, parent=parent, depth=depth)


def _take(found: Body, key: str, item: object, *, parent: str, depth: int) -> None:
    if key in _WAIT_KEYS:
        found.waits.append(item)
    elif key in _WAIT_MS_KEYS:
        found.waits_ms.append(item)
    elif key in _INSTANT_KEYS:
        found.instants.append(item)
    elif key in _MODEL_KEYS and isinstance(item, str) and 0 < len(item) <= _MAX_CODE_CHARS:
        found.models.append(item)
    if key in _CODE_KEYS:
        _take_code(found, key, item, parent=parent)
    if isinstance(item, (str, bytes)) and key in _MESSAGE_KEYS:
        _walk(found, item, parent=key, depth=depth + 1)


def _take_code(found: Body, key: str, item: object, *, parent: str) -> None:
    if isinstance(item, bool) or not isinstance(item, (str, int)):
        return
    code = str(item).strip() if not isinstance(item, int) or abs(item) < 10**12 else ""
    if not code or len(code) > _MAX_CODE_CHARS:
        return
    digits = code.lstrip("-")
    if digits.isascii() and digits.isdigit():
        number = int(code)
        if 400 <= number < 600:  # noqa: PLR2004  # the range of HTTP's error statuses
            found.statuses.append(number)
        else:
            found.numbers.append(f"{parent}.{key}={number}")
    else:
        found.codes.append(code)
        if "code" not in key:
            found.types.add(code)


def _walk_text(found: Body, text: str, *, depth: int) -> None:
    text = text[:MAX_BODY_CHARS].strip()
    if not text:
        return
    if looks_like_html(text):
        found.html = True
        found.texts.append(strip_markup(text)[:MAX_TEXT_CHARS])
        return
    inner = _inner_json(text)
    if inner is not None:
        start, value = inner
        if start:
            found.texts.append(text[:start])
        _walk(found, value, parent="", depth=depth + 1)
        return
    found.texts.append(text[:MAX_TEXT_CHARS])
    if "{" in text:
        _read_broken(found, text[: MAX_TEXT_CHARS * 2])


def _inner_json(text: str) -> tuple[int, Any] | None:
    """The JSON object that a text leads to, and where it starts; None where it is mangled or followed by more words."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return (start, value) if isinstance(value, dict) and value and len(text) - end < _TRAILING_CHARS else None


def _read_broken(found: Body, text: str) -> None:
    """Takes the telling fields out of JSON that is cut or mangled, or of a Python literal."""
    for count, match in enumerate(_BROKEN_FIELD.finditer(text.replace('\\"', '"'))):
        if count > 40:  # noqa: PLR2004  # enough for any error, few enough for any text
            return
        key, item = match[1].lower(), match[2] or match[3]
        if key == "retrydelay":
            found.waits.append(item)
        elif key == "model":
            found.models.append(item)
        else:
            _take_code(found, key, item, parent="")
