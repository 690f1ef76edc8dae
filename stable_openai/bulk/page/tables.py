"""What failed and why, and what each key did, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stable_openai.bulk.spelling import spell_number, spell_path, spell_reason, spell_share, spell_state, spell_time

from .markup import section, table, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stable_openai.bulk.busiest import Choice
    from stable_openai.bulk.record import KeyRecord, RunRecord

__all__ = ["failures_table", "keys_table"]


def failures_table(record: RunRecord) -> str:
    """The section about failures; nothing where there are none."""
    whole = record.failures_in_all
    if not whole:
        return ""
    rows = [
        (text(spell_reason(reason)), spell_number(count), spell_share(count / whole))
        for reason, count in sorted(record.failed.items(), key=lambda item: -item[1])
    ]
    where = (
        ""
        if record.failures is None
        else f"Each is written to <code>{text(spell_path(record.failures), 1_000)}</code>."
    )
    content = table("Items without an answer, by reason", ("Reason", "Items", "Share"), rows, {1, 2})
    return section("failures", "Failures", where, content)


def keys_table(record: RunRecord, choice: Choice) -> str:
    """The section about the keys in figures; nothing where there are none."""
    if not choice.shown:
        return ""
    owners = any(key.owner is not None for key in choice.shown)
    headings = ["Key", *(["Owner"] if owners else []), "Attempts", "Share", "Failed", "Out", "At the end"]
    first = headings.index("Attempts")
    return section(
        "keys",
        "Keys",
        "",
        table("Attempts of each key", headings, _rows(record, choice, owners=owners), range(first, first + 4)),
    )


def _rows(record: RunRecord, choice: Choice, *, owners: bool) -> Iterator[list[str]]:
    whole = sum(key.uses for key in record.keys)
    for key in choice.shown:
        owner = [text(key.owner or "")] if owners else []
        yield [text(key.name), *owner, *_figures(key.uses, key.failed, whole), _out(key), text(spell_state(key), 200)]
    if choice.others:
        blank = [""] if owners else []
        others = f"{spell_number(choice.others)} others"
        yield [others, *blank, *_figures(choice.uses, choice.failed, whole), "", ""]


def _figures(uses: int, failed: int, whole: int) -> list[str]:
    return [spell_number(uses), spell_share(uses / whole) if whole else "", spell_number(failed)]


def _out(key: KeyRecord) -> str:
    out = sum(stretch.end_s - stretch.start_s for stretch in key.stretches)
    return spell_time(out) if out else ""
