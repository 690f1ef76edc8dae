"""``stable-openai batch``."""

from __future__ import annotations

import sys
from typing import Any

import click

from .options import options

__all__ = ["command"]


@click.command("batch", short_help="Answer a file of requests, and write a file of answers.")
@options
def command(**told: Any) -> None:
    """Send each request of INPUT ("-" is the standard input), and write the answers to a file.

    INPUT is a file of OpenAI's Batch API (JSON lines with custom_id, method, url and body), or rows with a prompt each:
    JSON lines, CSV, TSV, Parquet, or plain text, a prompt a line. The whole of it is checked before anything is sent.
    Each answer is on the disk before it counts. The same command again goes on where it stopped: after Ctrl-C, a crash,
    an empty quota. What failed is in a file beside the output, by reason, and asked again if that can help.

    \b
    Exit codes:
      0 all answered   1 some failed            2 bad input, nothing was sent
      3 budget spent   4 no key left            5 the output can't be written   130 interrupted

    \b
    Examples:
      stable-openai batch in.jsonl -o out.jsonl --pool keys.toml
      stable-openai batch words.csv -o words.fr.csv --model gpt-4o-mini --template "Translate into French: {word}"
      stable-openai batch in.jsonl -o out.jsonl --dry-run --price "gpt-4o-mini=0.15/0.60"
      stable-openai batch in.jsonl -o out.jsonl --budget 5M --report report.html
    """
    from .running import Run  # with what sends requests, which nobody needs for a page of help

    sys.exit(Run(told).run())
