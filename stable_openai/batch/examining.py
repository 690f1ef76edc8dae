"""A pass over a whole file before anything is sent: what is wrong in it, and what it will need."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from stable_openai.bulk.seen import Seen

from .problems import Problem, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .money import PriceList
    from .request import Request
    from .source import Source

__all__ = ["Examination", "Share", "examine"]

_KEPT: Final = 1_000  # problems that can be shown; all are counted


@dataclass(frozen=True, slots=True)
class Share:
    """What a file asks of one model.

    Attributes:
        requests: How many requests name it.
        prompt_tokens: Tokens of their prompts.
        answer_tokens: The most tokens of their answers; a guess for those that set no limit.
    """

    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Examination:
    """What a file holds. Tokens are estimates, as ``Request.tokens`` has them.

    Attributes:
        count: Good requests.
        problems: What is wrong with the others, in order; the first 1,000.
        problem_count: How many there are of those.
        models: What is asked of each model, by its name; an empty name where moderations leave it out.
        unlimited: Good requests that set no limit to their answer.
        largest_tokens: Tokens of the largest request, prompt and answer together.
        largest_line: The line that it is on; 0 without any.
        cost: What all would cost by the price list; None where there is none, or it lacks a model.
    """

    count: int = 0
    problems: tuple[Problem, ...] = ()
    problem_count: int = 0
    models: Mapping[str, Share] = field(default_factory=dict)
    unlimited: int = 0
    largest_tokens: int = 0
    largest_line: int = 0
    cost: Decimal | None = None

    @property
    def prompt_tokens(self) -> int:
        """Tokens of all prompts."""
        return sum(share.prompt_tokens for share in self.models.values())

    @property
    def answer_tokens(self) -> int:
        """The most tokens of all answers."""
        return sum(share.answer_tokens for share in self.models.values())

    @property
    def paid_models(self) -> tuple[str, ...]:
        """The models that take tokens, and so need a price: those that only moderate are free."""
        return tuple(name for name, share in self.models.items() if share.prompt_tokens or share.answer_tokens)


def examine(source: Source, *, price_list: PriceList | None = None) -> Examination:
    """Read a file once from its beginning to its end.

    Args:
        source: The file.
        price_list: What models cost.

    Raises:
        ConfigurationError: The file is damaged, so that there is no going on; of Parquet only.
    """
    tally = _Tally()
    with Seen() as seen:
        for found in source.requests():
            if isinstance(found, Problem):
                tally.add_problem(found)
                continue
            first, times = seen.see(found.id, found.line)
            if times == 1:
                tally.add(found)
            else:
                tally.add_problem(Problem(found.line, f"has the id {shown(found.id)}, as line {first} has already"))
    return tally.result(price_list)


class _Tally:
    def __init__(self) -> None:
        self._models: dict[str, list[int]] = {}
        self._problems: list[Problem] = []
        self._problem_count = self._unlimited = 0
        self._largest = (0, 0)

    def add_problem(self, problem: Problem) -> None:
        self._problem_count += 1
        if len(self._problems) < _KEPT:
            self._problems.append(problem)

    def add(self, request: Request) -> None:
        prompt, answer = request.tokens()
        sums = self._models.setdefault(request.model, [0, 0, 0])
        sums[0] += 1
        sums[1] += prompt
        sums[2] += answer
        self._unlimited += not request.is_limited
        if not self._largest[1] or prompt + answer > self._largest[0]:
            self._largest = (prompt + answer, request.line)

    def result(self, price_list: PriceList | None) -> Examination:
        models = {name: Share(*sums) for name, sums in self._models.items()}
        return Examination(
            count=sum(share.requests for share in models.values()),
            problems=tuple(self._problems),
            problem_count=self._problem_count,
            models=models,
            unlimited=self._unlimited,
            largest_tokens=self._largest[0],
            largest_line=self._largest[1],
            cost=None if price_list is None else _cost(models, price_list),
        )


def _cost(models: Mapping[str, Share], price_list: PriceList) -> Decimal | None:
    total = Decimal(0)
    for name, share in models.items():
        cost = price_list.cost(name, share.prompt_tokens, share.answer_tokens)
        if cost is None:
            return None
        total += cost
    return total
