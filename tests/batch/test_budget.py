"""A budget: what is under way and what was spent are never more than it, as long as answers keep to their limits."""

from __future__ import annotations

import sys
import threading
from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stable_openai import ConfigurationError
from stable_openai.batch.budget import Budget
from stable_openai.batch.money import PriceList, parse_budget, parse_price
from stable_openai.batch.request import Request


def request(number=1, limit=100, model="m", texts=1):
    """A request for a prompt of as many tokens as there are ``texts``, and an answer of so many."""
    return Request(
        number, str(number), "/v1/completions", {"model": model, "prompt": list(range(texts)), "max_tokens": limit}
    )


def budget(text=None, *prices):
    return Budget(None if text is None else parse_budget(text), PriceList(map(parse_price, prices)))


def usage(prompt, answer):
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


def test_tokens_are_reserved_and_settled():
    """The estimate until the answer is there, then what it used; what was not answered is given back."""
    one = budget("300")
    assert one.reserve(request(1))
    assert one.reserve(request(2))
    assert not one.reserve(request(3))
    assert one.spent_tokens == 0
    one.settle(request(1), usage(1, 49))
    assert one.spent_tokens == 50
    assert one.reserve(request(3))
    assert not one.reserve(request(4))
    one.settle(request(2), None)
    assert one.spent_tokens == 50
    assert one.reserve(request(4))
    assert not one.reserve(request(5, limit=50))
    assert one.reserve(request(5, limit=47))


def test_just_the_budget_is_spent():
    """To the last token, and no further."""
    one = budget("101")
    assert not one.reserve(request(limit=101))
    assert one.reserve(request(limit=100))
    one.settle(request(limit=100), usage(1, 100))
    assert not one.reserve(request(2, limit=0))
    assert one.spent_tokens == 101


def test_an_answer_without_usage():
    """What was reserved for it counts as spent."""
    one = budget("1k", "m=1")
    assert one.reserve(request())
    one.settle(request(), {})
    assert (one.spent_tokens, one.spent_money) == (101, Decimal("0.000101"))


def test_an_answer_that_took_more():
    """It is counted, and nothing follows."""
    one = budget("300")
    assert one.reserve(request())
    one.settle(request(), usage(1, 1_000))
    assert one.spent_tokens == 1_001
    assert not one.reserve(request(2, limit=1))


def test_what_is_reserved_once_is_reserved():
    """A request that is tried again takes no second share; one that never had any gives none back."""
    one = budget("150")
    assert one.reserve(request())
    assert one.reserve(request())
    one.settle(request(), None)
    one.settle(request(), None)
    assert one.reserve(request(2, limit=149))
    assert not one.reserve(request())


def test_money():
    """Prompt and answer at their prices."""
    one = budget("$1", "m=1/10", "n=0")
    assert one.reserve(request(1, limit=99_999, texts=10))
    assert not one.reserve(request(2, limit=1))
    assert one.reserve(request(3, limit=10**6, model="n"))
    one.settle(request(1), usage(100_000, 80_000))
    assert (one.spent_tokens, one.spent_money) == (180_000, Decimal("0.9"))
    assert not one.reserve(request(2, limit=10_000, texts=1))
    assert one.reserve(request(2, limit=9_999, texts=1))


def test_money_without_prices():
    """It is refused at once, or with the model's name."""
    with pytest.raises(ConfigurationError, match=r"--price: is missing, which a budget of \$20 needs"):
        budget("$20")
    with pytest.raises(ConfigurationError, match="--price: is missing, which a budget in money needs, for: 'm'"):
        budget("$20", "n=1").reserve(request())
    free = Request(1, "a", "/v1/moderations", {"input": "hi"})
    assert budget("$20", "n=1").reserve(free)


def test_without_a_budget_all_is_counted():
    """Money as far as there is a price for all."""
    one = budget(None, "m=1")
    assert one.reserve(request(limit=10**9))
    one.settle(request(), usage(1, 1))
    assert (one.spent_tokens, one.spent_money) == (2, Decimal("0.000002"))
    one.settle(request(2, model="n"), usage(1, 1))
    assert (one.spent_tokens, one.spent_money) == (4, None)
    assert budget().spent_money is None


def test_answers_of_an_earlier_run():
    """They count towards the budget, under the names that answers have."""
    one = budget("$1", "gpt-4o=1", "gpt-4o-mini=2")
    one.add(usage(100_000, 0), "gpt-4o-2024-08-06")
    one.add(usage(100_000, 0), "gpt-4o-mini")
    one.add(usage(100_000, 0), "unheard-of")
    one.add({}, "gpt-4o")
    one.add(None, "gpt-4o")
    assert (one.spent_tokens, one.spent_money) == (300_000, Decimal("0.5"))
    assert not one.reserve(request(model="gpt-4o", limit=500_000))
    assert one.reserve(request(model="gpt-4o", limit=499_999))


@given(
    st.integers(1, 500),
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100), st.booleans(), st.booleans()), max_size=40),
)
def test_never_more_than_the_budget(most, steps):
    """In whatever order requests are sent and answered: spent and reserved stay within it."""
    one = budget(str(most))
    under_way = {}
    spent = 0
    for number, (limit, answer, answered, early) in enumerate(steps):
        asked = request(number, limit=limit)
        if one.reserve(asked):
            under_way[number] = (asked, min(answer, limit), answered)
        assert (number in under_way) == (
            spent
            + sum(1 + entry[0].body["max_tokens"] for key, entry in under_way.items() if key != number)
            + 1
            + limit
            <= most
        )
        if under_way and early:
            done, took, told = under_way.pop(next(iter(under_way)))
            one.settle(done, usage(1, took) if told else None)
            spent += (1 + took) * told
        assert one.spent_tokens == spent <= most


@pytest.fixture
def _switching():
    """Threads take turns as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_switching")
def test_threads_at_once():
    """However they come between each other, they get what is there, and nothing is lost or counted twice."""
    one = budget(str(101 * 500))
    granted = []
    barrier = threading.Barrier(20)

    def work(first):
        barrier.wait()
        for number in range(first, first + 500):
            if one.reserve(request(number)):
                granted.append(number)
                if number % 2:
                    one.settle(request(number), usage(1, 100))

    threads = [threading.Thread(target=work, args=(number * 500,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == len(set(granted)) == 500
    assert one.spent_tokens == 101 * sum(number % 2 for number in granted)


def test_nothing_is_touched_without_the_lock(monkeypatch):
    """What the interpreter's own lock hides today, others will not."""
    one = budget("1k")

    def locked(work):
        def checked(*arguments):
            assert one._lock.locked()
            return work(*arguments)

        return checked

    monkeypatch.setattr(one, "_holds", locked(one._holds))
    monkeypatch.setattr(one, "_spend", locked(one._spend))
    monkeypatch.setattr(one, "_reserved", type("Watched", (dict,), {"pop": locked(dict.pop)})())
    assert one.reserve(request())
    one.settle(request(), {})
    one.add(usage(1, 1), "m")
    assert one.spent_tokens == 103
