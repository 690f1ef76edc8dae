"""Tokens without network: counted where ``bpe-openai`` is installed, estimated where not."""

from __future__ import annotations

import builtins
import importlib.util
import sys
import types

import pytest

from stable_openai import Chat, ConfigurationError, assistant_msg, user_msg
from stable_openai.conversation import tokens
from stable_openai.pool.usage import estimate_text

INSTALLED = importlib.util.find_spec("bpe_openai") is not None


@pytest.fixture(autouse=True)
def _afresh():
    """What was found out about the extra is forgotten before and after each test."""
    tokens._encodings.cache_clear()
    yield
    tokens._encodings.cache_clear()


@pytest.fixture
def counted(monkeypatch):
    """A tokenizer of a token for each sign, and what it was asked for."""
    asked = []

    class Encoding:
        def __init__(self, name):
            self.name = name

        def encode_ordinary(self, text):
            assert len(text) <= 50_000
            return [*text]

    def get_encoding(name):
        asked.append(name)
        return Encoding(name)

    monkeypatch.setitem(sys.modules, "bpe_openai", types.SimpleNamespace(get_encoding=get_encoding))
    return asked


@pytest.fixture
def not_installed(monkeypatch):
    """The extra is missing."""
    find = builtins.__import__

    def refuse(name, *arguments, **options):
        if name == "bpe_openai":
            raise ImportError(name)
        return find(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_without_the_extra(not_installed):
    """An estimate, and it says so."""
    assert not tokens.is_exact()
    for text in ("", "hello", "hello world, how are you?", "你好世界", "a" * 1000):
        assert tokens.text_tokens(text) == tokens.text_tokens(text, "gpt-4o") == estimate_text(text)
    assert tokens.text_tokens("") == 0
    assert tokens.text_tokens("你好世界") >= 4
    assert tokens.message_tokens(user_msg("hello")) == 4 + estimate_text("hello")


def test_with_the_extra(counted):
    """Counted; each tokenizer is made once."""
    assert tokens.is_exact()
    assert [tokens.text_tokens("hello", "gpt-4o") for _ in range(3)] == [5, 5, 5]
    assert tokens.text_tokens("") == 0
    assert tokens.text_tokens("a" * 120_001) == 120_001
    assert counted == ["o200k_base"]


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        (None, "o200k_base"), ("gpt-4o", "o200k_base"), ("gpt-4o-mini", "o200k_base"), ("gpt-4.1", "o200k_base"),
        ("gpt-5", "o200k_base"), ("o3", "o200k_base"), ("chatgpt-4o-latest", "o200k_base"), ("unheard-of", "o200k_base"),
        ("gpt-4", "cl100k_base"), ("gpt-4-turbo", "cl100k_base"), ("gpt-4-32k", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"), ("gpt-35-turbo", "cl100k_base"),
        ("ft:gpt-3.5-turbo-0125:me::1", "cl100k_base"), ("ft:gpt-4:me::1", "cl100k_base"), ("ft:gpt-4o-mini:me::1", "o200k_base"),
    ],
)  # fmt: skip
def test_the_tokenizer_of_a_model(counted, model, encoding):
    """By its family; what is not known has the newest."""
    tokens.text_tokens("hello", model)
    assert counted == [encoding]


def test_tokens_of_messages(counted):
    """Texts, parts, calls; an image counts as OpenAI's guide has it, whatever its bytes."""
    function = {"name": "look", "arguments": "{}"}
    call = {"id": "a", "type": "function", "function": function}
    assert tokens.message_tokens(user_msg("hello")) == 9
    assert tokens.message_tokens({"role": "assistant", "content": None, "tool_calls": [call]}) == 4 + len(
        '[{"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}]'
    )
    assert tokens.message_tokens({"role": "assistant", "content": None, "function_call": function}) == 4 + len(
        '{"name": "look", "arguments": "{}"}'
    )
    picture = user_msg("hello", b"\x89PNG\r\n" + bytes(100_000), images=["https://images.invalid/a.png"])
    assert tokens.message_tokens(picture) == 4 + 5 + 2 * 765
    assert tokens.message_tokens({"role": "user", "content": []}) == 4


def test_a_history_is_counted_for_its_model(counted, talk):
    """By the model of the chat."""
    chat = talk().chat(max_tokens_history=30, model="gpt-4")
    chat.add_dialogs(user_msg("12345"), assistant_msg("12345"), user_msg("12345"), assistant_msg("1234567"))
    assert [message["content"] for message in chat.fetch_messages()] == ["12345", "1234567"]
    assert set(counted) == {"cl100k_base"}
    with pytest.raises(ConfigurationError, match="needs 34 tokens"):
        chat.request("a" * 30)
    assert len(chat) == 2


def test_without_a_bound_nothing_is_counted(counted):
    """The tokenizer takes long to load: it waits until it is needed."""
    chat = Chat("key", model="gpt-4")
    chat.add_dialogs(user_msg("12345"), assistant_msg("12345"))
    assert counted == []


@pytest.mark.skipif(not INSTALLED, reason="the extra `tokens` is not installed")
def test_the_real_one():
    """Known counts of OpenAI's tokenizers; texts that it does not take at once; special tokens are plain text."""
    assert tokens.is_exact()
    assert tokens.text_tokens("hello world", "gpt-4o") == tokens.text_tokens("hello world", "gpt-4") == 2
    assert (tokens.text_tokens("你好，世界", "gpt-4o"), tokens.text_tokens("你好，世界", "gpt-4")) == (3, 6)  # noqa: RUF001
    assert tokens.text_tokens("<|endoftext|>", "gpt-4o") == 7
    assert tokens.text_tokens("hello " * 200_000, "gpt-4o") == pytest.approx(200_000, rel=0.01)
    assert tokens.text_tokens("half \ud83e", "gpt-4o") >= 2
