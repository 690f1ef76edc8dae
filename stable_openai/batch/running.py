"""One run over a file of requests: what was answered before is skipped, what fails is kept apart."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from stable_openai.bulk.checkpoint import Checkpoint
from stable_openai.bulk.hiding import hider_of
from stable_openai.bulk.job import Job
from stable_openai.bulk.runs import AsyncRun
from stable_openai.bulk.settings import Settings
from stable_openai.errors import ConfigurationError

from .form import BatchForm
from .output import body_of, usage_of
from .sending import Sender
from .tables import TABLES, write_table

if TYPE_CHECKING:
    from pathlib import Path

    from stable_openai.bulk.checkpoint import RetryFailed
    from stable_openai.bulk.record import RunRecord
    from stable_openai.pool.pool import KeyPool

    from .budget import Budget
    from .source import Source

__all__ = ["BASE_URL", "Batch", "Plan", "working_file"]

BASE_URL: Final = "https://api.openai.com/v1"
_TIMEOUT: Final = 600.0  # seconds, as openai's clients have it
_BUFFER: Final = 2_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How a file is to be run.

    Attributes:
        output: Where answers go: JSON lines, or a table (``.csv``, ``.tsv``, ``.parquet``), which is made at the end of
            the lines in a file beside it.
        workers: How many requests at once; ``"auto"``: as many as the keys can use.
        base_url: The provider's, for keys without one of their own; None: ``OPENAI_BASE_URL``, else OpenAI's.
        retry_failed: Which failures of an earlier run are asked again.
        max_wait: The longest that the run waits for keys without a single answer, in seconds.
        timeout: The longest that an attempt may take, in seconds.
        progress: As ``map`` takes it.
    """

    output: Path
    workers: int | Literal["auto"] = "auto"
    base_url: str | None = None
    retry_failed: RetryFailed = "retriable"
    max_wait: float = 86_400.0
    timeout: float = _TIMEOUT
    progress: Any = None


class Batch:
    """A file on its way through a pool.

    Args:
        source: The file, found to be good, but for lines that are to be left out.
        pool: Whose keys it uses.
        plan: How.
        budget: What may be spent.
        total: How many good requests there are.

    Raises:
        ConfigurationError: The output is another kind of file, or another run is at it.
        OSError: It can't be written.
    """

    def __init__(self, source: Source, pool: KeyPool, plan: Plan, budget: Budget, total: int) -> None:
        self._source = source
        self._plan = plan
        self._budget = budget
        self._pool = pool
        self._form = BatchForm(hider_of(pool))
        settings = Settings(
            workers=plan.workers,
            order="completed",
            errors="return",
            checkpoint=working_file(plan.output),
            id="id",
            retry_failed=plan.retry_failed,
            replay=False,
            max_wait=plan.max_wait,
            buffer=_BUFFER,
            total=total,
            progress=plan.progress,
            pool=pool,
            form=self._form,
        )
        self._job = Job(settings, total, pool.clock)
        for line in self._checkpoint.results():
            body = body_of(line) or {}
            budget.add(usage_of(body), str(body.get("model") or ""))

    @property
    def _checkpoint(self) -> Checkpoint:
        assert self._job.checkpoint is not None  # noqa: S101  # it was given one
        return self._job.checkpoint

    @property
    def already(self) -> int:
        """Answers that are there from an earlier run."""
        return self._checkpoint.done

    async def run(self) -> RunRecord:
        """Send what was not answered yet.

        Raises:
            BudgetSpent: The budget does not hold another request.
            NoKeyAvailable: No key will be back in time.
            OSError: There is no room for the answers.
            BaseException: It was interrupted. In each case, ``record`` tells what has come of it, and what was answered
                is in the output.
        """
        tally = self._job.tally
        base_url = self._plan.base_url or os.environ.get("OPENAI_BASE_URL") or BASE_URL
        sender = Sender(
            self._pool,
            base_url,
            self._budget,
            use=tally.use_tokens,
            attempt_took=tally.attempt_took,
            timeout=self._plan.timeout,
        )
        async with sender, AsyncRun(self._job, sender.send, self._source.good_requests()) as run:
            return await run.run()

    def record(self) -> RunRecord:
        """What has come of it so far."""
        money = self._budget.spent_money
        self._job.tally.cost = None if money is None else float(money)
        return self._job.record()

    def write_table(self) -> int:
        """Write the table, where the output is one, and give the number of its rows; after the run.

        Raises:
            OSError: It can't be written; one that was there stays as it was.
        """
        checkpoint = Checkpoint(working_file(self._plan.output), self._form, "none")
        try:
            return write_table(self._source, checkpoint.line_for, self._plan.output)
        finally:
            checkpoint.close()

    def close(self) -> None:
        """Let go of the output, where it was not run."""
        self._job.end()


def working_file(output: Path) -> Path:
    """Where answers are kept: the output itself, or where that is a table, a file beside it.

    Raises:
        ConfigurationError: The output's name tells of neither.
    """
    suffix = output.suffix.lower().removeprefix(".")
    if suffix in {"jsonl", "ndjson"}:
        return output
    if suffix in TABLES:
        return output.with_name(f"{output.name}.jsonl")
    raise ConfigurationError(
        "--output", f"must end in .jsonl, {', '.join(f'.{kind}' for kind in TABLES)}, which {output.name!r} does not"
    )
