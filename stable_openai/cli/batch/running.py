"""One call of ``stable-openai batch``: checking, sending, telling."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from stable_openai.batch.budget import Budget
from stable_openai.batch.defaults import Defaults
from stable_openai.batch.endpoints import CHAT
from stable_openai.batch.examining import examine
from stable_openai.batch.running import Batch, Plan, working_file
from stable_openai.batch.sending import BudgetSpent
from stable_openai.batch.source import Source
from stable_openai.bulk.summary import as_dict, lines_of
from stable_openai.cli.complaints import complaint, printable
from stable_openai.cli.opening import open_pool
from stable_openai.errors import ConfigurationError, NoKeyAvailable, StableError

from . import checking
from .options import limit_of, prices_of

if TYPE_CHECKING:
    from stable_openai.batch.examining import Examination
    from stable_openai.bulk.record import RunRecord
    from stable_openai.pool.pool import KeyPool

__all__ = ["Run"]

ALL_ANSWERED: Final = 0
SOME_FAILED: Final = 1
BAD_INPUT: Final = 2
OVER_BUDGET: Final = 3
NO_KEYS: Final = 4
NOT_WRITTEN: Final = 5
INTERRUPTED: Final = 130


class Run:
    """One call of the command.

    Args:
        told: Its options.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told
        self._secrets: list[str] = []

    def run(self) -> int:
        """Do what was asked for, and give the exit code."""
        try:
            return self._run()
        except (ConfigurationError, StableError) as error:
            return self._complain(error, BAD_INPUT)
        except OSError as error:
            return self._complain(error, NOT_WRITTEN if _is_ours(error, self._told["output"]) else BAD_INPUT)
        except KeyboardInterrupt:
            return INTERRUPTED

    def _complain(self, error: BaseException, code: int) -> int:
        click.echo(f"Error: {complaint(error, self._secrets)}", err=True)
        return code

    def _run(self) -> int:
        told = self._told
        self._check_places()
        prices = prices_of(told["prices"])
        limit = limit_of(told["budget"])
        budget = Budget(limit, prices)
        with Source.open(told["source"], kind=told["kind"], defaults=self._defaults()) as source:
            if told["output"] is not None:
                source.check_output(told["output"])
            found = examine(source, price_list=prices)
            if found.problem_count:
                checking.tell_problems(source, found, skip=told["skip_bad"])
                if not told["skip_bad"]:
                    return BAD_INPUT
            if limit is not None and limit.money is not None:
                prices.check(found.paid_models)
            if told["dry_run"]:
                return self._dry_run(source, found)
            if not found.count:
                click.echo(f"{source.name} holds no requests: nothing to do", err=True)
                return ALL_ANSWERED
            with self._pool() as pool:
                return self._answer(source, found, pool, budget)

    def _check_places(self) -> None:
        """Refuse before anything else what could not be written at the end."""
        output, report = self._told["output"], self._told["report"]
        if output is None:
            if not self._told["dry_run"]:
                raise ConfigurationError("--output", "is missing: -o out.jsonl")
            return
        working = working_file(output)
        if not self._told["resume"] and working.exists() and working.stat().st_size:
            raise ConfigurationError("--no-resume", f"{working} holds answers already: name another, or remove it")
        for path in (output, report):
            if path is not None and not path.absolute().parent.is_dir():
                raise ConfigurationError(str(path), f"there is no folder {path.absolute().parent}")

    def _defaults(self) -> Defaults:
        told = self._told
        names = ("model", "max_tokens", "column", "template", "system", "id_column")
        return Defaults(**{name: told[name] for name in names}, url=told["url"] or CHAT)

    def _pool(self) -> KeyPool:
        told = self._told
        names = ("store", "rpm", "tpm", "minute")
        pool, _ = open_pool(told["file"], **{name: told[name] for name in names if told[name] is not None})
        self._secrets = [key.secret for key in pool.keys]
        return pool

    # -- looking

    def _dry_run(self, source: Source, found: Examination) -> int:
        try:
            pool: KeyPool | None = self._pool()
        except ConfigurationError:
            if self._told["file"] is not None:
                raise
            pool = None
        about = checking.estimate(found, pool, found.count - self._answered_already())
        if self._told["as_json"]:
            click.echo(json.dumps(about))
        else:
            click.echo(printable("\n".join(checking.lines_of(source, about, pool))))
        if pool is not None:
            pool.close()
        return ALL_ANSWERED

    def _answered_already(self) -> int:
        output = self._told["output"]
        path = None if output is None else working_file(output)
        if path is None or not path.exists():
            return 0
        with path.open("rb") as file:
            return sum(line.endswith(b"\n") for line in file)

    # -- sending

    def _answer(self, source: Source, found: Examination, pool: KeyPool, budget: Budget) -> int:
        told = self._told
        plan = Plan(
            told["output"],
            workers=told["workers"],
            base_url=told["base_url"],
            retry_failed=told["retry_failed"],
            max_wait=told["max_wait"],
            timeout=told["timeout"],
            progress=False if told["quiet"] else None,
        )
        batch = Batch(source, pool, plan, budget, found.count)
        error: BaseException | None = None
        try:
            asyncio.run(batch.run())
        except (BudgetSpent, NoKeyAvailable, OSError, KeyboardInterrupt) as stop:
            error = stop
        finally:
            batch.close()
        record = batch.record()
        if plan.output != working_file(plan.output) and not isinstance(error, (OSError, KeyboardInterrupt)):
            batch.write_table()
        self._tell(record, error)
        return _code_of(record, error)

    def _tell(self, record: RunRecord, error: BaseException | None) -> None:
        if self._told["report"] is not None:
            from stable_openai.bulk.page import write_page

            write_page(record, self._told["report"])
        if self._told["as_json"]:
            click.echo(json.dumps(as_dict(record)))
        elif not self._told["quiet"]:
            click.echo(printable("\n".join(lines_of(record))))
        elif error is not None:
            click.echo(f"Error: {printable(record.stopped)}", err=True)


def _code_of(record: RunRecord, error: BaseException | None) -> int:
    codes = {KeyboardInterrupt: INTERRUPTED, BudgetSpent: OVER_BUDGET, NoKeyAvailable: NO_KEYS}
    if error is not None:
        return codes.get(type(error), NOT_WRITTEN)
    return SOME_FAILED if record.failures_in_all else ALL_ANSWERED


def _is_ours(error: OSError, output: Path | None) -> bool:
    """Whether it is the output that can't be written, rather than the input that can't be read."""
    if output is None or error.filename is None:
        return False
    return Path(error.filename).name.lstrip(".").startswith(output.name.partition(".")[0])
