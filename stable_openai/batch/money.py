"""Prices and limits, as they are told on the command line. There is one currency: that of the prices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from stable_openai.errors import ConfigurationError

from .problems import listed, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Limit", "Price", "PriceList", "parse_budget", "parse_price"]

ANY: Final = "*"
_BUDGET: Final = "--budget"
_PRICE: Final = "--price"
_MILLIONTH: Final = Decimal("1e-6")
_SUFFIXES: Final = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
_LONGEST: Final = 40  # characters: more digits than any budget has
_NUMBER: Final = r"(?P<number>[0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?)\s*(?P<suffix>[kmb]?)"
_CURRENCY: Final = r"(?P<currency>US\$|[$€£¥￥元]|[a-z]{3})"  # the wide sign is what Chinese keyboards type
_TOKENS: Final = re.compile(rf"{_NUMBER}\s*(?:tokens?|tok)?", re.IGNORECASE)
_MONEY: Final = (
    re.compile(rf"{_CURRENCY}\s*{_NUMBER}", re.IGNORECASE),
    re.compile(rf"{_NUMBER}\s*{_CURRENCY}", re.IGNORECASE),
)
_AMOUNT: Final = re.compile(r"[$€£¥￥]?\s*(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)")
# What providers append to a model's name in their answers: the day of its making.
_DATE: Final = re.compile(r"[-@](?:\d{4}-\d\d-\d\d|\d{8}|\d{4})$")


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget: tokens or money, never both.

    Attributes:
        text: As it was told.
        tokens: The most tokens, prompts and answers together; None for one in money.
        money: The most money; None for one in tokens.
        currency: The sign or the code that it was told with; an empty text for one in tokens.
    """

    text: str
    tokens: int | None = None
    money: Decimal | None = None
    currency: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs.

    Attributes:
        model: Its name, or ``*`` for all that have no price of their own.
        prompt: Money for a million tokens of prompts.
        answer: Money for a million tokens of answers.
    """

    model: str
    prompt: Decimal
    answer: Decimal

    def of(self, prompt: int, answer: int) -> Decimal:
        """What so many tokens of prompt and answer cost, exactly."""
        return (self.prompt * prompt + self.answer * answer) * _MILLIONTH


def parse_budget(text: str) -> Limit:
    """A budget: ``5M tokens``, ``200k``, ``5000000``, ``$20``, ``20 USD``.

    Raises:
        ConfigurationError: It is none.
    """
    told = text.strip()
    short = told if len(told) <= _LONGEST else ""
    tokens = _TOKENS.fullmatch(short)
    if tokens is not None:
        amount = _amount(tokens)
        if amount != int(amount):
            raise ConfigurationError(_BUDGET, f"must be a whole number of tokens, not {shown(told)}")
        return Limit(told, tokens=int(_above_zero(amount, told)))
    for pattern in _MONEY:
        money = pattern.fullmatch(short)
        if money is not None:
            currency = money["currency"]
            return Limit(told, money=_above_zero(_amount(money), told), currency=currency.upper())
    raise ConfigurationError(
        _BUDGET, f"must be tokens, such as 5M, or money, such as $20 or '20 EUR', without commas, not {shown(told)}"
    )


def _amount(match: re.Match[str]) -> Decimal:
    return Decimal(match["number"]) * _SUFFIXES[match["suffix"].lower()]


def _above_zero(amount: Decimal, told: str) -> Decimal:
    if not amount:
        raise ConfigurationError(_BUDGET, f"must be above 0, not {shown(told)}")
    return amount


def parse_price(text: str) -> Price:
    """A price: ``gpt-4o-mini=0.15/0.60``, money for a million tokens of prompt and of answer; one number for both.

    Raises:
        ConfigurationError: It is none.
    """
    model, sign, told = text.rpartition("=")
    amounts = [_AMOUNT.fullmatch(part.strip()) if len(part) <= _LONGEST else None for part in told.split("/")]
    model = model.strip()
    if not (sign and model and len(amounts) in {1, 2} and all(amounts)):
        raise ConfigurationError(
            _PRICE,
            f"must be MODEL=PROMPT/ANSWER, for a million tokens, such as gpt-4o-mini=0.15/0.60, not {shown(text)}",
        )
    numbers = [Decimal(amount["number"]) for amount in amounts if amount is not None]
    return Price(model, numbers[0], numbers[-1])


class PriceList:
    """What models cost.

    Args:
        prices: One for each model; one for ``*`` stands for all others.

    Raises:
        ConfigurationError: A model has two prices.
    """

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        self._prices: dict[str, Price] = {}
        for price in prices:
            if self._prices.setdefault(price.model, price) != price:
                raise ConfigurationError(_PRICE, f"{shown(price.model)} has two prices")

    def __bool__(self) -> bool:
        return bool(self._prices)

    def check(self, models: Iterable[str]) -> None:
        """Check that each of these models has a price.

        Raises:
            ConfigurationError: Some have none; it names them.
        """
        missing = [model for model in models if self._of(model) is None]
        if missing:
            raise ConfigurationError(_PRICE, f"is missing, which a budget in money needs, for: {listed(missing)}")

    def cost(self, model: str, prompt: int, answer: int) -> Decimal | None:
        """What so many tokens cost; None where that is not known."""
        if not (prompt or answer):
            return Decimal(0)
        price = self._of(model)
        return None if price is None else price.of(prompt, answer)

    def cost_of_answer(self, model: str, prompt: int, answer: int) -> Decimal:
        """The same for a model as answers call it, with a date; at the highest price for one that is not known."""
        price = self._prices.get(model) or self._of(_DATE.sub("", model))
        if price is not None:
            return price.of(prompt, answer)
        return max((price.of(prompt, answer) for price in self._prices.values()), default=Decimal(0))

    def _of(self, model: str) -> Price | None:
        return self._prices.get(model) or self._prices.get(ANY)
