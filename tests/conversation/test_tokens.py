"""Tokens of a history: those of its messages, by the tokenizer of its model."""

from __future__ import annotations

import pytest

from stable_openai import Chat, ConfigurationError, assistant_msg, user_msg
from stable_openai.pool.needs import message_tokens
from stable_openai.pool.tokens import estimate_text, is_exact


def test_without_the_extra(not_installed):
    """An estimate, and it says so."""
    assert not is_exact()
    assert message_tokens(user_msg("hello")) == 4 + estimate_text("hello")


def test_tokens_of_messages(counted):
    """Texts, parts, calls; an image counts as OpenAI's guide has it, whatever its bytes."""
    function = {"name": "look", "arguments": "{}"}
    call = {"id": "a", "type": "function", "function": function}
    assert is_exact()
    assert message_tokens(user_msg("hello")) == 9
    assert message_tokens({"role": "assistant", "content": None, "tool_calls": [call]}) == 4 + len(
        '[{"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}]'
    )
    assert message_tokens({"role": "assistant", "content": None, "function_call": function}) == 4 + len(
        '{"name": "look", "arguments": "{}"}'
    )
    picture = user_msg("hello", b"\x89PNG\r\n" + bytes(100_000), images=["https://images.invalid/a.png"])
    assert message_tokens(picture) == 4 + 5 + 2 * 765
    assert message_tokens({"role": "user", "content": []}) == 4


def test_a_message_is_counted_whole(counted):
    """However long: a history that is bounded is kept to the last token."""
    assert message_tokens(user_msg("a" * 300_001)) == 300_005


def test_a_history_is_counted_for_its_model(counted, talk):
    """By the model of the chat."""
    chat = talk().chat(max_tokens_history=30, model="gpt-4")
    chat.add_dialogs(user_msg("12345"), assistant_msg("12345"), user_msg("12345"), assistant_msg("1234567"))
    assert [message["content"] for message in chat.fetch_messages()] == ["12345", "1234567"]
    assert counted.names == ["cl100k_base"]
    with pytest.raises(ConfigurationError, match="needs 34 tokens"):
        chat.request("a" * 30)
    assert len(chat) == 2


def test_without_a_bound_nothing_is_counted(counted):
    """The tokenizer takes long to load: it waits until it is needed."""
    chat = Chat("key", model="gpt-4")
    chat.add_dialogs(user_msg("12345"), assistant_msg("12345"))
    assert counted.names == []
