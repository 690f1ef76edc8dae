"""Tokens of messages, as the pool reckons them: for histories that are bounded, and for what is shown."""

from stable_openai.pool.needs import message_tokens
from stable_openai.pool.tokens import is_exact, text_tokens

__all__ = ["is_exact", "message_tokens", "text_tokens"]
