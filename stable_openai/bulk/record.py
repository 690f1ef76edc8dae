"""What came of a run: what reports are drawn from. Bounded, however long the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KeyRecord", "Latencies", "RunRecord", "Stretch"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which a key was out.

    Attributes:
        start_s: Its beginning, in seconds since the run began.
        end_s: Its end, likewise; the run's end where it was still out then.
        standing: ``"cooling down"``, ``"parked"``, ``"barred"`` or ``"retired"``.
        reason: Why, in one of the verdict's words, or an empty text.
    """

    start_s: float
    end_s: float
    standing: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What one key did in a run.

    Attributes:
        name: Its name.
        masked: Its secret as it may be shown.
        owner: Whose quota it draws on, or None.
        uses: Attempts that it was granted for.
        failed: Attempts that ended with a provider's error.
        standing: How it stood at the end: ``"open"`` or one of a stretch's.
        reason: Why it was out then, or an empty text.
        counts: Attempts in each bin of the run.
        stretches: When it was out.
    """

    name: str
    masked: str
    owner: str | None
    uses: int
    failed: int
    standing: str
    reason: str
    counts: tuple[int, ...] = ()
    stretches: tuple[Stretch, ...] = ()


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long something took, as a histogram.

    Attributes:
        edges_s: Upper edges of the bins in seconds, growing by a fixed factor.
        counts: How many were in each.
    """

    edges_s: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    def quantile(self, share: float) -> float | None:
        """The upper edge of the bin up to which this share of all lies, in seconds; None where there is none."""
        wanted = share * sum(self.counts)
        seen = 0
        for edge, count in zip(self.edges_s, self.counts, strict=True):
            seen += count
            if count and seen >= wanted:
                return edge
        return None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What came of a run.

    Attributes:
        started_at: When it began, in seconds since 1970-01-01 UTC.
        seconds: How long it took.
        total: How many items there were; None where it was not known, or the run ended before that.
        resumed: Items that a checkpoint had already.
        answered: Items that this run got a value for.
        failed: How many failed, by reason: a verdict's word, or the name of the exception's class.
        stopped: Why the run ended before its items did, in a sentence; or an empty text.
        tokens: Tokens that the answers say were used, prompts and answers together; None where none said so.
        prompt_tokens: The prompts' part of it; None as above.
        cost: In the currency of the prices; None where there were none.
        possible_per_minute: Answers that the limits of the keys allow in a minute; None where nothing limits them.
        share: Share of that which was reached, of the whole minutes after the first; None where that can't be told.
        minute: How long the provider's minute lasts, in seconds.
        bin_s: How long a bin lasts, in seconds.
        answered_counts: Items answered in each bin of the run.
        latencies: How long an item took, waits for keys included.
        attempt_latencies: How long an answer of the provider's took; empty where that was not seen.
        keys: What each key did.
        output: Where the results are; None without a checkpoint.
        failures: Where the failures are; None without a checkpoint.
    """

    started_at: float
    seconds: float
    total: int | None = None
    resumed: int = 0
    answered: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    stopped: str = ""
    tokens: int | None = None
    prompt_tokens: int | None = None
    cost: float | None = None
    possible_per_minute: float | None = None
    share: float | None = None
    minute: float = 60.0
    bin_s: float = 1.0
    answered_counts: tuple[int, ...] = ()
    latencies: Latencies = Latencies()
    attempt_latencies: Latencies = Latencies()
    keys: tuple[KeyRecord, ...] = ()
    output: str | None = None
    failures: str | None = None

    @property
    def failures_in_all(self) -> int:
        """How many items failed."""
        return sum(self.failed.values())

    def __str__(self) -> str:
        from .summary import lines_of

        return "\n".join(lines_of(self))
