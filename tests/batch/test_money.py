"""Budgets and prices, as they are told."""

from __future__ import annotations

from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stable_openai import ConfigurationError
from stable_openai.batch.money import Limit, Price, PriceList, parse_budget, parse_price


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("5000000", 5_000_000), ("5M", 5_000_000), ("5m", 5_000_000), ("5M tokens", 5_000_000), ("5 M tok", 5_000_000),
        ("200k", 200_000), ("200 K Tokens", 200_000), ("2.5M", 2_500_000), ("1_000_000", 1_000_000), ("1 token", 1),
        ("1b", 1_000_000_000), (" 7 ", 7), ("1.000k", 1_000),
    ],
)  # fmt: skip
def test_budgets_in_tokens(text, tokens):
    """With or without the word; k, M and B multiply."""
    assert parse_budget(text) == Limit(text.strip(), tokens=tokens)
    assert str(parse_budget(text)) == text.strip()


@pytest.mark.parametrize(
    ("text", "money", "currency"),
    [
        ("$20", "20", "$"), ("20$", "20", "$"), ("$ 0.50", "0.50", "$"), ("US$20", "20", "US$"), ("20 USD", "20", "USD"),
        ("usd 20", "20", "USD"), ("20eur", "20", "EUR"), ("€1.5k", "1500", "€"), ("£5", "5", "£"), ("¥100", "100", "¥"),
        ("100元", "100", "元"), ("2k RMB", "2000", "RMB"),
    ],
)  # fmt: skip
def test_budgets_in_money(text, money, currency):
    """With a sign or a code, before it or behind; kept as it was told."""
    assert parse_budget(text) == Limit(text, money=Decimal(money), currency=currency)


FORM = "must be tokens, such as 5M, or money, such as $20 or '20 EUR', without commas, not "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", FORM + "''"),
        ("a lot", FORM + "'a lot'"),
        ("-5", FORM + "'-5'"),
        ("5,000", FORM + "'5,000'"),
        ("1,5M", FORM + "'1,5M'"),
        ("1e6", FORM + "'1e6'"),
        ("5M5", FORM + "'5M5'"),
        ("$", FORM + "'$'"),
        ("$5 USD", FORM + "'$5 USD'"),
        ("20 dollars", FORM + "'20 dollars'"),
        ("\u0665", FORM + "'\u0665'"),
        ("9" * 100, FORM + "'" + "9" * 58 + "…"),
        ("1.5", "must be a whole number of tokens, not '1.5'"),
        ("0.0001k", "must be a whole number of tokens, not '0.0001k'"),
        ("0", "must be above 0, not '0'"),
        ("$0.00", "must be above 0, not '$0.00'"),
    ],
)
def test_budgets_that_are_none(text, message):
    """They are refused: nobody's money is guessed at."""
    with pytest.raises(ConfigurationError) as caught:
        parse_budget(text)
    assert (str(caught.value), caught.value.field) == (f"--budget: {message}", "--budget")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpt-4o-mini=0.15/0.60", ("gpt-4o-mini", "0.15", "0.60")),
        ("m=2", ("m", "2", "2")),
        ("*=$1/$2", ("*", "1", "2")),
        (" org/m:free = 0 / 0 ", ("org/m:free", "0", "0")),
        ("a=b=.5", ("a=b", ".5", ".5")),
    ],
)
def test_prices(text, expected):
    """Of a million tokens of prompt and of answer; one number for both; ``*`` for any model."""
    model, prompt, answer = expected
    assert parse_price(text) == Price(model, Decimal(prompt), Decimal(answer))


@pytest.mark.parametrize(
    "text", ["", "m", "m=", "=1", "m=1/2/3", "m=1/", "m=x", "m=-1", "m=1e3", "m=nan", "m=" + "1" * 50]
)
def test_prices_that_are_none(text):
    """They are refused, with the form that one has."""
    with pytest.raises(ConfigurationError, match="--price: must be MODEL=PROMPT/ANSWER") as caught:
        parse_price(text)
    assert caught.value.field == "--price"


def prices(*texts):
    return PriceList(map(parse_price, texts))


def test_a_price_list():
    """A model's own price, else that of any; none where there is neither."""
    known = prices("a=1/2", "b=10", "a=1/2")
    assert known
    assert known.cost("a", 1_000_000, 500_000) == 2
    assert known.cost("b", 1, 1) == Decimal("0.00002")
    assert known.cost("c", 1, 1) is None
    assert known.cost("c", 0, 0) == 0
    assert prices("a=1", "*=3").cost("c", 1_000_000, 0) == 3
    assert not prices()
    with pytest.raises(ConfigurationError, match="--price: 'a' has two prices"):
        prices("a=1", "a=2")


def test_models_without_a_price():
    """They are named."""
    with pytest.raises(ConfigurationError) as caught:
        prices("a=1").check(["a", "b", "c"])
    assert str(caught.value) == "--price: is missing, which a budget in money needs, for: 'b', 'c'"
    prices("*=1").check(["a", "b"])


@pytest.mark.parametrize(
    ("model", "cost"),
    [("a", 1), ("a-2024-07-18", 1), ("a@20240718", 1), ("a-0613", 1), ("a-mini", 5), ("b-2024-07-18", 7), ("", 5)],
)
def test_models_as_answers_call_them(model, cost):
    """With a date behind; what has no price is taken to be the dearest, and not to be free."""
    assert prices("a=1", "b=5", "b-2024-07-18=7", "*=5").cost_of_answer(model, 1_000_000, 0) == cost
    assert prices("a=1", "b=5").cost_of_answer("c", 1_000_000, 0) == 5
    assert prices().cost_of_answer("c", 1_000_000, 0) == 0


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)), max_size=20))
def test_sums_are_exact(amounts):
    """Decimals: however many are added, nothing is lost."""
    known = prices("a=0.15/0.60")
    total = sum((known.cost("a", *amount) for amount in amounts), Decimal(0))
    assert total * 100_000_000 == sum(15 * prompt + 60 * answer for prompt, answer in amounts)
