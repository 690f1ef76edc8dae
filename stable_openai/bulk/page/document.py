"""The page as a whole, and its file."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stable_openai.beside import written_beside
from stable_openai.bulk.busiest import choose
from stable_openai.bulk.spelling import (
    spell_answered,
    spell_number,
    spell_path,
    spell_possible,
    spell_rate,
    spell_share,
    spell_time,
)

from .latency import draw_latencies
from .markup import section, text
from .rate import draw_rate
from .style import STYLE
from .tables import failures_table, keys_table
from .timeline import draw_timeline

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from stable_openai.bulk.record import RunRecord

__all__ = ["page_of", "write_page"]

_KEYS: Final = 40  # of the busiest, and as many that had trouble
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_SENTENCE: Final = 1_000  # characters


def write_page(record: RunRecord, path: str | os.PathLike[str]) -> None:
    """Write the report: whole, or not at all.

    Args:
        record: What came of the run.
        path: The file; its folder is made where it is not there.

    Raises:
        OSError: It can't be written; a file that was there stays as it was.
    """
    content = page_of(record).encode()
    Path(path).resolve().parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as beside:
        beside.write_bytes(content)


def page_of(record: RunRecord) -> str:
    """The report as HTML."""
    answered = text(spell_answered(record))
    choice = choose(record.keys, _KEYS)
    stopped = f'<p class="note" role="note"><strong>Stopped early:</strong> {text(record.stopped, _SENTENCE)}</p>'
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"/>',
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>',
        '<meta name="color-scheme" content="light dark"/><meta name="robots" content="noindex"/>',
        f"<title>{answered}: stable_openai</title><style>{STYLE}</style></head><body>",
        f"<header><h1>{answered}</h1><p>{_when(record)}</p></header><main>",
        stopped if record.stopped else "",
        f'<dl class="figures">{"".join(_figures(record))}</dl>',
        draw_timeline(record, choice),
        draw_rate(record),
        draw_latencies(record),
        failures_table(record),
        keys_table(record, choice),
        _files(record),
        "</main><footer>Written by stable_openai.</footer></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _when(record: RunRecord) -> str:
    began = datetime.datetime.fromtimestamp(record.started_at, datetime.timezone.utc).astimezone()
    ended = began + datetime.timedelta(seconds=record.seconds)
    form = "%H:%M:%S" if ended.date() == began.date() else "%Y-%m-%d %H:%M:%S"
    return f"From {_time(began, '%Y-%m-%d %H:%M:%S')} to {_time(ended, form)} (UTC{ended.isoformat()[-6:]})"


def _time(moment: datetime.datetime, form: str) -> str:
    return f'<time datetime="{moment.isoformat(timespec="seconds")}">{moment.strftime(form)}</time>'


def _figures(record: RunRecord) -> Iterator[str]:
    """The headline's figures, of what is known."""
    yield _figure("Time", spell_time(record.seconds))
    if record.answered and record.seconds:
        value, _, unit = spell_rate(record.answered / record.seconds).partition(" ")
        yield _figure("Rate", value, f"answers {unit}")
    if record.share is not None:
        yield _figure("Of the limits", spell_share(record.share), f"they allow {spell_possible(record)}")
    if record.resumed:
        yield _figure("This run", spell_number(record.answered), f"{spell_number(record.resumed)} by an earlier one")
    yield _figure("Failed", spell_number(record.failures_in_all))
    if record.tokens is not None:
        prompts = record.prompt_tokens
        yield _figure(
            "Tokens",
            spell_number(record.tokens),
            ""
            if prompts is None
            else f"{spell_number(prompts)} in prompts, {spell_number(record.tokens - prompts)} in answers",
        )
    if record.cost is not None:
        yield _figure("Cost", f"{record.cost:,.2f}" if record.cost >= 1 else f"{record.cost:.2g}")


def _figure(name: str, value: str, more: str = "") -> str:
    small = f"<small>{text(more, 200)}</small>" if more else ""
    return f"<div><dt>{text(name)}</dt><dd>{text(value)}{small}</dd></div>"


def _files(record: RunRecord) -> str:
    """Where the results are, and the failures, if there are any."""
    files = [("Results", record.output), ("Failures", record.failures if record.failed else None)]
    found = [(name, path) for name, path in files if path is not None]
    if not found:
        return ""
    items = "".join(f"<li>{name}: <code>{text(spell_path(path), _SENTENCE)}</code></li>" for name, path in found)
    return section("files", "Files", "", f"<ul>{items}</ul>")
