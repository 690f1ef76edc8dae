"""The options of ``stable-openai batch``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from stable_openai.batch.endpoints import CHAT, URLS
from stable_openai.batch.money import PriceList, parse_budget, parse_price
from stable_openai.batch.source import KINDS
from stable_openai.bulk.settings import AUTO

if TYPE_CHECKING:
    from collections.abc import Callable

    from stable_openai.batch.money import Limit

__all__ = ["Workers", "limit_of", "options", "prices_of"]

_COUNT: Final = click.IntRange(1)
_SECONDS: Final = click.FloatRange(0.0)
_FILE: Final = click.Path(dir_okay=False, path_type=Path)


class Workers(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic in newer versions
    """A number, or ``auto``."""

    name = "number|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Make it one of the two."""
        return value if value == AUTO else _COUNT.convert(value, param, ctx)


_OPTIONS: Final = (
    click.argument("source", metavar="INPUT", type=click.Path(allow_dash=True)),
    click.option("-o", "--output", type=_FILE, metavar="FILE", help="Where answers go: .jsonl, .csv, .tsv, .parquet."),
    click.option("--format", "kind", type=click.Choice(KINDS), help="What the input is.  [default: as its name tells]"),
    click.option("--model", help="The model, for rows, and for lines that name none."),
    click.option("--max-tokens", type=_COUNT, metavar="N", help="The most tokens of an answer that sets no limit."),
    click.option("--column", metavar="NAME", help="The column of the prompt.  [default: prompt]"),
    click.option("--template", metavar="TEXT", help="The prompt, with {columns} of the row in it."),
    click.option("--system", metavar="TEXT", help="How the model is to behave, for rows."),
    click.option("--id-column", metavar="NAME", help="The column of the id.  [default: id, else the content makes it]"),
    click.option("--url", type=click.Choice(URLS), help=f"What rows are sent to.  [default: {CHAT}]"),
    click.option("--pool", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
                 help="A keys.toml.  [default: the kept keys, else those of the environment]"),
    click.option("--store", metavar="URL", help="Where the pool's counts are.  [default: the file's, else memory://]"),
    click.option("--base-url", metavar="URL", help="The provider, for keys without one of their own."),
    click.option("--rpm", type=_COUNT, metavar="N", help="Requests per minute of each key that does not say its own."),
    click.option("--tpm", type=_COUNT, metavar="N", help="Tokens per minute, likewise."),
    click.option("--minute", type=click.FloatRange(0.1), metavar="SECONDS", hidden=True),
    click.option("--workers", type=Workers(), default=AUTO, show_default=True, help="Requests at once."),
    click.option("--budget", metavar="AMOUNT", help="Stop before more is spent: 5M (tokens), or $20 with --price."),
    click.option("--price", "prices", multiple=True, metavar="MODEL=IN/OUT",
                 help="Money for 1,000,000 tokens of prompts and of answers; may be repeated; * for any model."),
    click.option("--resume/--no-resume", default=True, show_default=True, help="Whether to go on where an earlier run "
                 "stopped; if not, the output must not be there yet."),
    click.option("--retry-failed", type=click.Choice(("retriable", "all", "none")), default="retriable",
                 show_default=True, help="Which failures of earlier runs to ask again."),
    click.option("--max-wait", type=_SECONDS, default=86_400.0, metavar="SECONDS", help="The longest to wait for keys "
                 "without a single answer.  [default: a day]"),
    click.option("--timeout", type=click.FloatRange(0.1), default=600.0, show_default=True, metavar="SECONDS",
                 help="The longest that one attempt may take."),
    click.option("--skip-bad", is_flag=True, help="Leave lines out that are bad, and go on with the rest."),
    click.option("--dry-run", is_flag=True, help="Check the input, estimate tokens, time and cost; send nothing."),
    click.option("--report", type=_FILE, metavar="FILE", help="Write a page about the run (.html)."),
    click.option("--json", "as_json", is_flag=True, help="Print the report as JSON."),
    click.option("-q", "--quiet", is_flag=True, help="No progress and no report, but for what went wrong."),
)  # fmt: skip


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command all of them."""
    for add in reversed(_OPTIONS):
        function = add(function)
    return function


def prices_of(texts: tuple[str, ...]) -> PriceList:
    """The prices that were told.

    Raises:
        ConfigurationError: One is wrong.
    """
    return PriceList(parse_price(text) for text in texts)


def limit_of(text: str | None) -> Limit | None:
    """The budget that was told.

    Raises:
        ConfigurationError: It is none.
    """
    return None if text is None else parse_budget(text)
