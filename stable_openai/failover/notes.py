"""What each attempt met, written on the exception that ends a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .portable import make_portable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .records import Record

__all__ = ["add_note", "note_attempts"]

_SHOWN: Final = 12


def note_attempts(error: BaseException, records: Sequence[Record]) -> None:
    """Add a note for each attempt: its key (masked), what it met, and the wait.

    Nothing where the first attempt met a fault of the request itself: that stays as the provider told it. In either
    case the exception is made fit to be pickled: it goes to the caller now, who may be in another process.
    """
    make_portable(error)
    if len(records) == 1 and records[0].verdict.is_request_fault:
        return
    left_out = max(len(records) - _SHOWN, 0)
    first_left_out = _SHOWN // 2
    for index, record in enumerate(records):
        if left_out and first_left_out <= index < first_left_out + left_out:
            if index == first_left_out:
                add_note(error, f"and {left_out} more attempts")
            continue
        verdict = record.verdict
        wait = "" if verdict.wait_s is None else f", to come back in {verdict.wait_s:g} s"
        paused = f", then waited {record.paused:.2f} s" if record.paused else ""
        reason = verdict.reason.value
        add_note(error, f"attempt {index + 1} with {record.name} ({record.masked}): {reason}{wait}{paused}")


def add_note(error: BaseException, note: str) -> None:
    """Add a note to an exception (PEP 678), on Python 3.10 too, where it is kept and not shown."""
    if hasattr(error, "add_note"):
        error.add_note(note)
        return
    notes = getattr(error, "__notes__", [])
    error.__notes__ = [*notes, note]  # type: ignore[attr-defined,unused-ignore]  # Python 3.10 knows no notes
