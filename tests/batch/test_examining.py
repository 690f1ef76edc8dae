"""What is known of a file before anything is sent."""

from __future__ import annotations

from decimal import Decimal

import pytest

from stable_openai.batch.examining import Examination, Share, examine
from stable_openai.batch.money import PriceList, parse_price
from stable_openai.batch.problems import Problem


def test_requests_are_counted_by_model(opened, line):
    """With their tokens, by estimate; the largest is named, and those whose answers nothing limits."""
    source = opened(
        [
            line("a", max_tokens=100),
            line("b", model="gpt-4o", max_tokens=1_000),
            line("c"),
            line("d", "/v1/moderations", input="hi"),
        ]
    )
    prompt = next(source.requests()).tokens()[0]
    found = examine(source)
    assert found == Examination(
        count=4,
        models={
            "gpt-4o-mini": Share(2, 2 * prompt, 100 + 256),
            "gpt-4o": Share(1, prompt, 1_000),
            "": Share(1, 0, 0),
        },
        unlimited=1,
        largest_tokens=1_000 + prompt,
        largest_line=2,
    )
    assert (found.prompt_tokens, found.answer_tokens) == (3 * prompt, 1_356)
    assert found.paid_models == ("gpt-4o-mini", "gpt-4o")


def test_problems_in_order(opened, line):
    """Bad lines and ids that were there before, with the numbers of both lines."""
    source = opened(
        [line("a"), {"custom_id": "x"}, line("b"), line("a"), line("a" * 100), line("a"), line("a" * 100), line("c")]
    )
    found = examine(source)
    assert (found.count, found.problem_count) == (4, 4)
    assert found.problems == (
        Problem(2, "method is missing"),
        Problem(4, "has the id 'a', as line 1 has already"),
        Problem(6, "has the id 'a', as line 1 has already"),
        Problem(7, f"has the id '{'a' * 58}…, as line 5 has already"),
    )


def test_ids_of_rows_that_repeat(opened):
    """Only those that the input names can be the same."""
    found = examine(opened("id,prompt\n7,a\n8,b\n7,c\n", "in.csv", model="m"))
    assert found.problems == (Problem(4, "has the id '7', as line 2 has already"),)
    assert examine(opened("a\na\na\n", "in.txt", model="m")).count == 3


def test_an_empty_file(opened):
    """It asks nothing."""
    assert examine(opened("")) == Examination()


@pytest.mark.parametrize(
    ("prices", "cost"),
    [
        (["gpt-4o-mini=0/1", "gpt-4o=0/2"], Decimal("0.0003")),
        (["gpt-4o-mini=0/1", "*=0/20"], Decimal("0.0021")),
        (["gpt-4o-mini=0/1"], None),
        ([], None),
    ],
)
def test_what_it_would_cost(opened, line, prices, cost):
    """By the price list, where it has each model; moderations are free."""
    source = opened(
        [line("a", max_tokens=100), line("b", model="gpt-4o", max_tokens=100), line("c", "/v1/moderations", input="x")]
    )
    assert examine(source, price_list=PriceList(map(parse_price, prices))).cost == cost
