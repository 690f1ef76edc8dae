"""What came of the demo, in figures, in words and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stable_openai import KeyStatus
    from stable_openai.simulator import SimKey, Stats

    from .crawl import Crawl

__all__ = ["Summary", "summarise"]


@dataclass(frozen=True)
class Summary:
    """The figures.

    Attributes:
        requests: Prompts that were to be asked.
        answered: Those that got their own answer.
        failed: Those that ended in an error, or in another prompt's answer.
        served_twice: Prompts that the provider answered more than once.
        attempts: Requests that the provider saw.
        rejected_by_limit: Those of them that it rejected by a limit of which the pool was told.
        met_429: Those that it answered with 429: by a limit, or because the account is unpaid.
        seconds: From the first request to the last answer.
        best_seconds: The least time that the limits allow.
        per_minute: Requests that the limits allow in a minute.
        minute: The simulator's minute, in seconds.
        workers: Threads or tasks at once.
        uses: ``"threads"`` or ``"tasks"``.
        seed: The seed of keys and prompts.
        interrupted: Whether Ctrl-C ended it.
        keys: By name of the key: attempts, served, rejected, state.
        errors: How many prompts ended in which kind of error.
    """

    requests: int
    answered: int
    failed: int
    served_twice: int
    attempts: int
    rejected_by_limit: int
    met_429: int
    seconds: float
    best_seconds: float
    per_minute: int
    minute: float
    workers: int
    uses: str
    seed: int
    interrupted: bool = False
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def rejected_share(self) -> float:
        """Share of the attempts that a told limit rejected."""
        return self.rejected_by_limit / self.attempts if self.attempts else 0.0

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds if self.seconds else 0.0

    @property
    def _pace(self) -> str:
        return f"{self.seconds:.1f} s ({self.per_second:.0f} req/s)"

    @property
    def _best(self) -> str:
        if self.best_seconds < self.minute:
            return "the limits allow so many at once"
        times = self.seconds / self.best_seconds
        return (
            f"{self.best_seconds:.1f} s at {self.per_minute} requests per {self.minute:g} s; "
            f"this took {times:.2f} times as long"
        )

    @property
    def exit_code(self) -> int:
        """0 only if all were answered; 130 after Ctrl-C."""
        if self.interrupted:
            return 130
        return 0 if self.answered == self.requests else 1

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        shown = {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in ((name, getattr(self, name)) for name in self.__dataclass_fields__)
        }
        return {**shown, "rejected_share": round(self.rejected_share, 5), "per_second": round(self.per_second, 2)}

    def lines(self) -> list[str]:
        """Everything that is worth reading."""
        twice = "each once" if not self.served_twice else f"{self.served_twice} of them more than once"
        unpaid = self.met_429 - self.rejected_by_limit
        rejected = f"{self.rejected_by_limit} ({self.rejected_share:.2%}) rejected by limits"
        lines = [
            f"{self.answered} of {self.requests} requests answered, {twice}, in {self._pace}",
            f"  attempts       {self.attempts}; {rejected}, all known to the pool",
            f"  429s met       {self.met_429}: {self.rejected_by_limit} by limits, {unpaid} by the unpaid account",
        ]
        if self.answered == self.requests:
            lines.append(f"  best possible  {self._best}")
        lines += [f"  {kind:<13}  {count} times" for kind, count in self.errors.items()]
        if self.interrupted:
            lines.append(f"  interrupted    {self.requests - self.answered - self.failed} requests were not asked")
        return lines


def summarise(
    crawl: Crawl, stats: Stats, sim_keys: Sequence[SimKey], statuses: Sequence[KeyStatus], **figures: Any
) -> Summary:
    """Count what came of a crawl.

    Args:
        crawl: The crawl: what the users of the function saw.
        stats: What the provider saw.
        sim_keys: The provider's keys.
        statuses: What the pool says of them.
        figures: The fields of ``Summary`` that are known beforehand.
    """
    answers, failures = dict(crawl.answers), dict(crawl.failures)  # after Ctrl-C a straggler may still write
    own = sum(answer.endswith(prompt) for prompt, answer in answers.items())  # the simulator repeats the prompt
    told = [key.name for key in sim_keys if key.rpm is not None or key.rpd is not None]
    errors = Counter(type(error).__name__ for error in failures.values())
    if own < len(answers):
        errors["another's answer"] = len(answers) - own
    unpaid = stats.total.outcomes.get("unpaid", 0)
    return Summary(
        requests=len(crawl.prompts),
        answered=own,
        failed=len(failures) + len(answers) - own,
        served_twice=sum(stats.served_times(prompt) > 1 for prompt in crawl.prompts),
        attempts=stats.total.attempts,
        rejected_by_limit=sum(tally.rate_limited for name, tally in stats.keys.items() if name in told),
        met_429=stats.total.rate_limited + unpaid,
        seconds=crawl.seconds,
        keys={
            status.name: {
                "attempts": tally.attempts,
                "served": tally.served,
                "rejected_by_limit": tally.rate_limited,
                "state": status.standing,
                "reason": status.reason,
            }
            for status in statuses
            if (tally := stats.keys.get(status.name)) is not None
        },
        errors=dict(errors),
        **figures,
    )
