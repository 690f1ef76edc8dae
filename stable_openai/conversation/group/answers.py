"""What a model has made of a scene: its remarks, read from JSON that may be wrapped, cut short or of another shape."""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["complete_remarks", "problem_of", "remarks_in"]

_decode: Final = json.JSONDecoder().raw_decode
_BLANKS: Final = re.compile(r"[\s,:]*")
_FENCE: Final = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL | re.IGNORECASE)


def remarks_in(text: str) -> list[str] | None:
    """The remarks of an answer, in order; None where it is no JSON of a known shape.

    Known are ``{"1": "…", "2": "…"}`` (what is asked for), ``["…", "…"]``, a list of objects with a ``remark``, and any
    of these in a field of its own or in a Markdown block.
    """
    fenced = _FENCE.search(text)
    for candidate in (text, fenced.group(1) if fenced else "", _from_first_bracket(text)):
        try:
            value = json.loads(candidate)
        except ValueError:
            continue
        found = _remarks_of(value)
        if found is not None:
            return found
    return None


def _from_first_bracket(text: str) -> str:
    starts = [place for place in (text.find("{"), text.find("[")) if place >= 0]
    ends = max(text.rfind("}"), text.rfind("]"))
    return text[min(starts) : ends + 1] if starts and ends > 0 else ""


def _remarks_of(value: Any) -> list[str] | None:
    if isinstance(value, dict):
        if isinstance(value.get("remark"), str):
            return [value["remark"]]
        if value and all(isinstance(entry, str) for entry in value.values()):
            return [value[name] for name in _in_order(value)]
        inner = [entry for entry in value.values() if isinstance(entry, (list, dict))]
        return _remarks_of(inner[0]) if len(inner) == 1 else None
    if isinstance(value, list) and value:
        found: list[Any] = [entry.get("remark") if isinstance(entry, dict) else entry for entry in value]
        return found if all(isinstance(remark, str) for remark in found) else None
    return None


def _in_order(value: dict[str, Any]) -> list[str]:
    return sorted(value, key=int) if all(name.isdecimal() for name in value) else list(value)


def complete_remarks(text: str) -> list[str]:
    """The remarks that are complete in an answer of the shape that is asked for, as far as it has come."""
    place = text.find("{") + 1
    remarks: list[str] = []
    while place:
        try:
            name, place = _decode(text, _past_blanks(text, place))
            remark, place = _decode(text, _past_blanks(text, place))
        except ValueError:
            break
        if name != str(len(remarks) + 1) or not isinstance(remark, str):
            break
        remarks.append(remark)
    return remarks


def _past_blanks(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return found.end() if found else place


def problem_of(remarks: list[str] | None, wanted: int) -> str | None:
    """What is wrong with the remarks of an answer, in words for the model; None where nothing is."""
    if remarks is None:
        return "it is not the JSON object that was asked for"
    if len(remarks) != wanted:
        return f"it has {len(remarks)} remarks; {wanted} were asked for"
    empty = [str(index) for index, remark in enumerate(remarks, 1) if not remark.strip()]
    return f"the remarks {', '.join(empty)} are empty" if empty else None
