"""What is said of a file before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stable_openai.bulk.capacity import Capacity
from stable_openai.bulk.progress import in_words
from stable_openai.cli.complaints import printable

if TYPE_CHECKING:
    from stable_openai.batch.examining import Examination
    from stable_openai.batch.source import Source
    from stable_openai.pool.pool import KeyPool

__all__ = ["estimate", "lines_of", "tell_problems"]

_FOREVER = float("inf")


def tell_problems(source: Source, found: Examination, *, skip: bool) -> None:
    """Say what is wrong with each bad line, on stderr."""
    for problem in found.problems:
        click.echo(f"{source.name}, line {problem.line}: {printable(problem.text)}", err=True)
    count = found.problem_count
    if count > len(found.problems):
        click.echo(f"… and {count - len(found.problems):,} more", err=True)
    lines = "line is" if count == 1 else "lines are"
    if skip:
        click.echo(f"{count:,} bad {lines} left out", err=True)
    else:
        click.echo(
            f"{count:,} {lines} bad, {found.count:,} good. Nothing was sent. --skip-bad goes on without the bad ones.",
            err=True,
        )


def estimate(found: Examination, pool: KeyPool | None, left: int) -> dict[str, Any]:
    """What a run will take, as far as that can be told.

    Args:
        found: What the file holds.
        pool: Whose keys it would use; None where there are none.
        left: How many requests are to be sent.
    """
    share = left / found.count if found.count else 0.0
    prompt, answer = round(found.prompt_tokens * share), round(found.answer_tokens * share)
    seconds = None
    if pool is not None and left:
        seconds = Capacity.of(pool.status()).seconds_for(left, (prompt + answer) / left)
    return {
        "requests": found.count,
        "to_send": left,
        "bad_lines": found.problem_count,
        "prompt_tokens": prompt,
        "answer_tokens": answer,
        "without_limit": found.unlimited,
        "seconds": None if seconds is None or seconds == _FOREVER else round(seconds, 1),
        "cost": None if found.cost is None else float(round(float(found.cost) * share, 6)),
        "models": {name or "(none)": share.requests for name, share in found.models.items()},
    }


def lines_of(source: Source, about: dict[str, Any], pool: KeyPool | None) -> list[str]:
    """The same for people."""
    done = about["requests"] - about["to_send"]
    models = ", ".join(f"{name} {count:,}" for name, count in about["models"].items())
    lines = [f"{source.name}: {about['requests']:,} requests ({models})"]
    if done:
        lines.append(f"  answered already   {done:,}; {about['to_send']:,} to be sent")
    lines.append(
        f"  tokens             about {about['prompt_tokens']:,} of prompts, up to {_answers(about)} of answers"
    )
    if pool is None:
        lines.append("  time               not known: there are no keys yet")
    elif about["seconds"] is not None:
        lines.append(f"  time               at least {in_words(about['seconds'])} by the limits of {len(pool)} keys")
    else:
        lines.append(f"  time               not known: the limits of the {len(pool)} keys were not told")
    if about["cost"] is not None:
        lines.append(f"  cost               up to {about['cost']:,.4f}")
    return lines


def _answers(about: dict[str, Any]) -> str:
    if not about["without_limit"]:
        return f"{about['answer_tokens']:,}"
    return f"{about['answer_tokens']:,} (a guess: {about['without_limit']:,} set no limit; --max-tokens sets one)"
