"""A key's row in the table, cell by cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stable_openai.bulk.spelling import spell_number, spell_reason, spell_time

from .markup import form, path_of, piece, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stable_openai.stores.snapshots import LaneStatus, WindowStatus

    from .board import Row

__all__ = ["HEADINGS", "cells_of", "countdown", "marks_of", "row_of"]

HEADINGS: Final = ("Key", "State", "Used and left", "Calls", "Actions")
_RESTS: Final = 4  # shown of a key; the rest is in the JSON
_WINDOWS: Final = 6
_NOTE: Final = 300
_TIGHT: Final = 0.1  # of a window, left
_MARKS: Final = {"open": "●", "cooling down": "◐", "parked": "■", "barred": "⊘", "retired": "✕"}


def row_of(row: Row, now: float, csrf: str) -> str:
    """The whole row. Roles are said once more: where CSS makes cards of rows, browsers forget them."""
    status = row.status
    owner = f"<small>{text(status.owner)}</small>" if status.owner else ""
    name = f'<span class="name">{text(status.name)}</span><code>{text(status.masked)}</code>{owner}'
    cells = cells_of(row, now)
    inner = "".join(
        f'<td role="cell" data-label="{heading}">{piece("div", name, content)}</td>'
        for heading, (name, content) in zip(HEADINGS[1:], cells.items(), strict=False)
    )
    buttons = f'<td role="cell" class="actions" data-label="{HEADINGS[-1]}">{_buttons(row, csrf)}</td>'
    return f'<tr role="row" id="{row.id}"><th role="rowheader" scope="row">{name}</th>{inner}{buttons}</tr>'


def cells_of(row: Row, now: float) -> Mapping[str, str]:
    """What changes in a row: the content of its cells by their ids."""
    return {f"{row.id}s": _state(row, now), f"{row.id}u": _usage(row), f"{row.id}c": _calls(row)}


def marks_of(row: Row) -> Mapping[str, object]:
    """By which the content of a cell is told from an older one: as ``cells_of``, but nothing that only time changes."""
    status = row.status
    resting = [(lane.kind, lane.model, lane.standing, lane.reason, lane.note, until) for lane, until in row.resting]
    windows = tuple(window for lane in status.lanes for window in lane.windows)
    return {
        f"{row.id}s": (status.standing, tuple(resting)),
        f"{row.id}u": windows,
        f"{row.id}c": (status.uses, status.failed, status.in_flight),
    }


def countdown(until: float | None, now: float) -> str:
    """How long something lasts yet; the script counts on."""
    if until is None:
        return ""
    left = max(until - now, 0.0)
    spelt = spell_time(max(round(left), 1))
    return f' <time class="left" data-until="{until}" datetime="PT{left:.0f}S">{spelt}</time>'


# -- state


def _state(row: Row, now: float) -> str:
    resting = row.resting
    whole = [pair for pair in resting if pair[0].model is None]
    models = resting[len(whole) :]
    shown = whole[:1]  # one of its lanes is enough to be out
    head = "".join(_rest(lane, until, now) for lane, until in shown) or _badge("open")
    items = "".join(f"<li>{_rest(lane, until, now)}</li>" for lane, until in models[:_RESTS])
    more = f"<li>and {len(models) - _RESTS} more models</li>" if len(models) > _RESTS else ""
    return head + (f"<ul>{items}{more}</ul>" if items else "")


def _badge(standing: str) -> str:
    kind, mark = standing.partition(" ")[0], _MARKS.get(standing, "?")
    return f'<span class="badge {text(kind)}"><i aria-hidden="true">{mark}</i> {text(standing)}</span>'


def _rest(lane: LaneStatus, until: float | None, now: float) -> str:
    where = f'<span class="model">{text(lane.model)}</span> ' if lane.model else ""
    whose = " (its owner)" if lane.kind.startswith("owner") else ""
    left = countdown(until, now) or (" until it is revived" if lane.standing == "retired" else "")
    why = f'<span class="why">{text(spell_reason(lane.reason))}{whose}</span>' if lane.reason else whose
    note = f'<small class="note">{text(lane.note, _NOTE)}</small>' if lane.note else ""
    return f"{where}{_badge(lane.standing)}{left}{why}{note}"


# -- windows and calls


def _usage(row: Row) -> str:
    found = [(lane, window) for lane in row.status.lanes for window in lane.windows]
    if not found:
        return '<span class="soft">no limits known</span>'
    items = "".join(f"<li>{_window(lane, window)}</li>" for lane, window in found[:_WINDOWS])
    more = f'<li class="soft">and {len(found) - _WINDOWS} more</li>' if len(found) > _WINDOWS else ""
    return f"<ul>{items}{more}</ul>"


def _window(lane: LaneStatus, window: WindowStatus) -> str:
    of = " ".join(filter(None, (lane.model or "", "owner" if lane.kind.startswith("owner") else "")))
    whose = f'<span class="model">{text(of)}</span> ' if of else ""
    learned = ' <span class="soft">(learned)</span>' if window.learned else ""
    tight = " tight" if window.left <= window.limit * _TIGHT else ""
    share = min(window.used / window.limit, 1.0) if window.limit else 1.0
    bar = (
        f'<svg class="meter{tight}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="all" width="100" height="6"/><rect class="used" width="{share * 100:.1f}" height="6"/></svg>'
    )
    words = (
        f"{spell_number(window.used)} of {spell_number(window.limit)} {text(window.what)} per {text(window.per)}, "
        f"<b>{spell_number(window.left)} left</b>"
    )
    return f"{whose}{words}{learned}{bar}"


def _calls(row: Row) -> str:
    status = row.status
    failed = f' <span class="more failed">{spell_number(status.failed)} failed</span>' if status.failed else ""
    flying = f' <span class="more">{spell_number(status.in_flight)} in flight</span>' if status.in_flight else ""
    return f"{spell_number(status.uses)}{failed}{flying}"


def _buttons(row: Row, csrf: str) -> str:
    """All three, whatever the state: a button that vanishes takes the keyboard's focus with it."""
    who = f'<span class="hidden"> {text(row.status.name)}</span>'
    return (
        form(path_of(row, "revive"), csrf, f"Revive{who}", label=' class="quick"')
        + form(path_of(row, "park"), csrf, f"Park{who}", label=' class="quick"')
        + form(path_of(row, "remove"), "", f"Remove…{who}", method="get", label=' class="grave"')
    )
