"""What a failed attempt leaves behind: for the notes on the final error, and for tenacity's objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stable_openai.verdict import Verdict

__all__ = ["ProviderRefusal", "Record"]


@dataclass(slots=True)
class Record:
    """One failed attempt, as it is noted on the final exception."""

    name: str
    masked: str
    verdict: Verdict
    paused: float = 0.0
    outage: bool = False

    @property
    def trouble(self) -> bool:
        """Whether the provider itself had trouble."""
        return self.verdict.is_provider_trouble and not self.outage


class ProviderRefusal(Exception):  # nobody sees it but tenacity's objects
    """Stands for an answer that nobody has raised, where tenacity's objects ask for an exception.

    Args:
        verdict: What the answer means.
    """

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"the provider answered with an error: {verdict.reason.value}")
        self.verdict = verdict
