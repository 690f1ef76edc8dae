"""What the workers of the engines import: functions of a user's, which know nothing of keys or of engines."""

from __future__ import annotations

import os

import openai
from tenacity import stop_after_attempt

from stable_openai import stable


# Engines look at a call's arguments before they send it, and don't know what is filled in: hence the default.
@stable
def ask(prompt: str, model: str = "gpt-4o-mini", *, client: openai.OpenAI = None) -> str:
    """The usual way."""
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}])
    return answer.choices[0].message.content


@stable
def ask_by_key(prompt: str, api_key: str = "", base_url: str = "") -> str:
    """With the key itself."""
    with openai.OpenAI(api_key=api_key, base_url=base_url, max_retries=0) as client:
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}])
    return answer.choices[0].message.content


ask_once = ask.options(stop=stop_after_attempt(1))


@stable(max_wait=0)
def ask_at_once(prompt: str, *, client: openai.OpenAI = None) -> str:
    """It doesn't wait for keys."""
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}])
    return answer.choices[0].message.content


class Asker:
    """An object with a decorated method, and one that is a coroutine function."""

    def __init__(self, word: str) -> None:
        self.word = word

    @stable
    def ask(self, prompt: str, *, client: openai.OpenAI = None) -> tuple[int, str]:
        return os.getpid(), self.word + ask.__wrapped__(prompt, client=client)


class AsyncAsker:
    """The same for tasks."""

    @stable
    async def ask(self, prompt: str, *, client: openai.AsyncOpenAI = None) -> str:
        answer = await client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}]
        )
        return answer.choices[0].message.content
