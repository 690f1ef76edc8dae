"""Tokens of texts, without network: counted where ``bpe-openai`` is installed, estimated where not."""

from __future__ import annotations

import importlib.util
import os
import threading

import pytest

from stable_openai.pool import tokens
from stable_openai.pool.tokens import estimate_text

INSTALLED = importlib.util.find_spec("bpe_openai") is not None


def test_without_the_extra(not_installed):
    """An estimate, and it says so."""
    assert not tokens.is_exact()
    for text in ("", "hello", "hello world, how are you?", "你好世界", "a" * 1000):
        assert tokens.text_tokens(text) == tokens.text_tokens(text, "gpt-4o") == estimate_text(text)
        assert tokens.tokens_together([text, text]) == 2 * estimate_text(text)
    assert tokens.text_tokens("") == tokens.tokens_together([]) == 0
    assert tokens.text_tokens("你好世界") >= 4


def test_with_the_extra(counted):
    """Counted; each tokenizer is made once; of what it does not take at once, piece by piece."""
    assert tokens.is_exact()
    assert [tokens.text_tokens("hello", "gpt-4o") for _ in range(3)] == [5, 5, 5]
    assert tokens.text_tokens("") == tokens.tokens_together([]) == tokens.tokens_together(["", ""]) == 0
    assert tokens.text_tokens("a" * 120_001) == 120_001
    assert counted.names == ["o200k_base"]


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        (None, "o200k_base"), ("gpt-4o", "o200k_base"), ("gpt-4o-mini", "o200k_base"), ("gpt-4.1", "o200k_base"),
        ("gpt-5", "o200k_base"), ("o3", "o200k_base"), ("chatgpt-4o-latest", "o200k_base"), ("unheard-of", "o200k_base"),
        ("gpt-4", "cl100k_base"), ("gpt-4-turbo", "cl100k_base"), ("gpt-4-32k", "cl100k_base"), ("gpt-4.5", "o200k_base"),
        ("gpt-3.5-turbo", "cl100k_base"), ("gpt-35-turbo", "cl100k_base"), ("gpt-3.5-turbo-instruct", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"), ("davinci-002", "cl100k_base"),
        ("openai/gpt-4o", "o200k_base"), ("openai/gpt-4", "cl100k_base"),
        ("ft:gpt-3.5-turbo-0125:me::1", "cl100k_base"), ("ft:gpt-4:me::1", "cl100k_base"), ("ft:gpt-4o-mini:me::1", "o200k_base"),
    ],
)  # fmt: skip
def test_the_tokenizer_of_a_model(counted, model, encoding):
    """By its family; what is not known has the newest."""
    tokens.text_tokens("hello", model)
    assert counted.names == [encoding]


@pytest.mark.parametrize("texts", [["x" * 20_000_000], ["x" * 1_000] * 20_000, ["", *["x"] * 199_999, "x" * 1_000_000]])
def test_of_much_text_a_sample_is_counted(counted, texts):
    """However much it is, no more than 200,000 signs are looked at; the rest is taken to be alike."""
    length = sum(map(len, texts))
    assert tokens.tokens_together(texts) == pytest.approx(length, rel=0.01)
    assert counted.signs <= 200_000


def test_a_sample_is_spread_over_all(counted, monkeypatch):
    """A text of two halves, one of which has three tokens for each sign, comes out in the middle of both."""
    monkeypatch.setattr(counted, "encode", lambda text: [*text] + 2 * [sign for sign in text if sign == "y"])
    for texts in (["x" * 500_000, "y" * 500_000], ["x" * 500_000 + "y" * 500_000]):
        assert tokens.tokens_together(texts) == pytest.approx(2_000_000, rel=0.02)


def test_threads_that_count_at_once(counted, monkeypatch):
    """Eight threads begin together: each tokenizer is made once, and all have the same count."""
    together, found = threading.Barrier(8), []
    get_encoding = counted.get_encoding

    def count():
        together.wait()
        found.append(tokens.text_tokens("hello", "gpt-4"))

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [5] * 8
    assert counted.names == ["cl100k_base"]
    assert get_encoding("x").encode_ordinary("hello") == [*"hello"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_while_a_tokenizer_is_made(counted):
    """The child does not wait for a thread that it does not have."""
    with tokens._making:
        child = os.fork()
        if child == 0:
            os._exit(tokens.text_tokens("hello"))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5


@pytest.mark.skipif(not INSTALLED, reason="the extra `tokens` is not installed")
def test_the_real_one():
    """Known counts of OpenAI's tokenizers; texts that it does not take at once; special tokens are plain text."""
    assert tokens.is_exact()
    assert tokens.text_tokens("hello world", "gpt-4o") == tokens.text_tokens("hello world", "gpt-4") == 2
    assert (tokens.text_tokens("你好，世界", "gpt-4o"), tokens.text_tokens("你好，世界", "gpt-4")) == (3, 6)  # noqa: RUF001
    assert tokens.text_tokens("<|endoftext|>", "gpt-4o") == 7
    for count in (
        lambda text: tokens.text_tokens(text, "gpt-4o"),
        lambda text: tokens.tokens_together([text], "gpt-4o"),
    ):
        assert count("hello " * 200_000) == pytest.approx(200_000, rel=0.01)
    assert tokens.text_tokens("half \ud83e", "gpt-4o") >= 2
