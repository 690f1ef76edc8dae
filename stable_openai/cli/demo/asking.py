"""The function that the demo crawls with: what a user's own one would look like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai

from stable_openai import stable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stable_openai import KeyPool

MODEL = "gpt-4o-mini"


def make_ask(pool: KeyPool, base_url: str, http: openai.DefaultHttpxClient) -> Callable[[str], str]:
    """Make the function for threads. All its clients share one pool of connections."""

    @stable(pool=pool)
    def ask(prompt: str, api_key: str = "") -> str:
        client = openai.OpenAI(api_key=api_key, base_url=base_url, http_client=http, max_retries=0)
        answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": prompt}])
        return answer.choices[0].message.content or ""

    return ask


def make_async_ask(
    pool: KeyPool, base_url: str, http: openai.DefaultAsyncHttpxClient
) -> Callable[[str], Awaitable[str]]:
    """Make the function for tasks: the same, but for ``await``."""

    @stable(pool=pool)
    async def ask(prompt: str, api_key: str = "") -> str:
        client = openai.AsyncOpenAI(api_key=api_key, base_url=base_url, http_client=http, max_retries=0)
        answer = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": prompt}])
        return answer.choices[0].message.content or ""

    return ask
