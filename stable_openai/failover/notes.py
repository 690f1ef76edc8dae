"""What each attempt met, written on the exception that ends a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .attempts import Record

__all__ = ["add_note", "note_attempts"]

_SHOWN: Final = 12


def note_attempts(error: BaseException, records: Sequence[Record]) -> None:
    """Add a note for each attempt: its key (masked), what it met, and the wait. Nothing for a lone plain failure."""
    shown = records if len(records) <= _SHOWN else [*records[: _SHOWN // 2], *records[-_SHOWN // 2 :]]
    for number, record in enumerate(records, 1):
        if record not in shown:
            continue
        verdict = record.verdict
        wait = "" if verdict.wait_s is None else f", to come back in {verdict.wait_s:g} s"
        paused = f", then waited {record.paused:.2f} s" if record.paused else ""
        add_note(error, f"attempt {number} with {record.key} ({record.masked}): {verdict.reason.value}{wait}{paused}")


def add_note(error: BaseException, note: str) -> None:
    """Add a note to an exception (PEP 678), on Python 3.10 too, where it is kept and not shown."""
    if hasattr(error, "add_note"):
        error.add_note(note)
        return
    notes = getattr(error, "__notes__", [])
    error.__notes__ = [*notes, note]  # type: ignore[attr-defined,unused-ignore]  # Python 3.10 knows no notes
