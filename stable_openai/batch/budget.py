"""What a run may spend: reserved before a request is sent, and corrected by what its answer used."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stable_openai.errors import ConfigurationError

from .counting import used
from .money import PriceList

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .money import Limit
    from .request import Request

__all__ = ["Budget"]

_NOTHING = (0, Decimal(0))


class Budget:
    """What a run may spend. Safe in threads; it only counts.

    What is reserved for a request is the estimate of its prompt and the most that its body lets the answer be. So no
    more than the budget is spent as long as the bodies limit their answers, and prompts need no more than estimated:
    with the extra ``tokens`` the texts of OpenAI's models are counted exactly, while images and the texts of other
    models stay estimates. Where an answer takes more than was reserved, that is counted, and fewer requests follow.

    Args:
        limit: The budget; None: there is none, and all is only counted.
        prices: What models cost.

    Raises:
        ConfigurationError: The budget is in money, and there is no price.
    """

    def __init__(self, limit: Limit | None = None, prices: PriceList | None = None) -> None:
        self._limit = limit
        self._prices = prices or PriceList()
        if limit is not None and limit.money is not None and not self._prices:
            raise ConfigurationError("--price", f"is missing, which a budget of {limit} needs")
        self._lock = threading.Lock()
        self._reserved: dict[tuple[int, str], tuple[int, Decimal]] = {}
        self._held_tokens = self._spent_tokens = 0
        self._held_money = self._spent_money = Decimal(0)
        self._all_priced = bool(self._prices)

    @property
    def spent_tokens(self) -> int:
        """Tokens that answers have used so far."""
        return self._spent_tokens

    @property
    def spent_money(self) -> Decimal | None:
        """Money that answers have cost so far; None where a price is missing."""
        return self._spent_money if self._all_priced else None

    def reserve(self, request: Request) -> bool:
        """Set aside what a request may need; False where the budget does not hold that beside what is under way.

        A request that has its share already keeps it.

        Raises:
            ConfigurationError: The budget is in money, and there is no price for the request's model.
        """
        prompt, answer = request.tokens()
        tokens, cost = prompt + answer, self._prices.cost(request.model, prompt, answer)
        if cost is None and self._limit is not None and self._limit.money is not None:
            self._prices.check([request.model])
        cost = cost or Decimal(0)
        key = (request.line, request.id)
        with self._lock:
            if key in self._reserved:
                return True
            if not self._holds(tokens, cost):
                return False
            self._reserved[key] = (tokens, cost)
            self._held_tokens += tokens
            self._held_money += cost
        return True

    def _holds(self, tokens: int, cost: Decimal) -> bool:
        limit = self._limit
        if limit is None:
            return True
        if limit.tokens is not None:
            return self._spent_tokens + self._held_tokens + tokens <= limit.tokens
        return limit.money is None or self._spent_money + self._held_money + cost <= limit.money

    def settle(self, request: Request, usage: Mapping[str, Any] | None) -> None:
        """Put what was used in the place of what was set aside.

        Args:
            request: The request.
            usage: The answer's ``usage``; empty where it was answered without one: the estimate then stands. None
                where it was not answered: what was set aside is free again.
        """
        told = None if usage is None else used(usage)
        cost = None if told is None else self._prices.cost(request.model, *told)
        with self._lock:
            held_tokens, held_money = self._reserved.pop((request.line, request.id), _NOTHING)
            self._held_tokens -= held_tokens
            self._held_money -= held_money
            if told is not None:
                self._spend(sum(told), cost)
            elif usage is not None:
                self._spend(held_tokens, held_money)

    def add(self, usage: Mapping[str, Any] | None, model: str) -> None:
        """Count an answer of an earlier run.

        Args:
            usage: Its ``usage``; nothing is counted where it tells nothing.
            model: The model, as the request or the answer calls it. One without a price costs as much as the dearest.
        """
        told = None if usage is None else used(usage)
        if told is not None:
            cost = self._prices.cost_of_answer(model, *told)
            with self._lock:
                self._spend(sum(told), cost)

    def _spend(self, tokens: int, cost: Decimal | None) -> None:
        self._spent_tokens += tokens
        if cost is None:
            self._all_priced = False
        else:
            self._spent_money += cost
