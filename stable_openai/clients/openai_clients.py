"""``OpenAI``, ``AsyncOpenAI``, ``AzureOpenAI`` and ``AsyncAzureOpenAI`` over a pool of keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import openai

from stable_openai.exchange import AzureAim

from .dropin import DropIn, signed_like
from .seams import AsyncSeam, SyncSeam

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AsyncAzureOpenAI", "AsyncOpenAI", "AzureOpenAI", "OpenAI"]


@signed_like(openai.OpenAI)
class OpenAI(DropIn, SyncSeam, openai.OpenAI):
    """``openai.OpenAI`` over a pool of keys: each HTTP request goes on with the next key where one is refused.

    Put it in the place of ``openai.OpenAI``: it takes the same parameters, and everything works as there. A stream
    fails over until its first content. Where no key is left, the provider's last error is raised; where there was
    none, ``NoKeyAvailable`` (which is an ``openai.OpenAIError`` here).

    Args:
        api_key: As openai takes it, one key or a function that gets one: there is nothing to fail over to, then, and
            all is openai's own; or a list of keys, or a ``KeyPool``. None: the process-wide ``KeyManager``, else
            ``OPENAI_API_KEYS``, ``OPENAI_API_KEY_1…``, ``OPENAI_API_KEY``.
        pool: A ``KeyPool``, in place of ``api_key``.
        max_wait: The longest that a request waits for a key, in seconds; None: the pool's.
        total_timeout: The longest that a request takes in all, waits and attempts together, in seconds; None: the
            pool's. (``timeout`` bounds each HTTP request, as ever.)
        affinity: What the client's requests belong to, such as a conversation's id: they stay on one key while that is
            healthy, for the sake of the provider's prompt cache.
        max_retries: Counts the provider's own trouble alone (server errors, timeouts, lost connections).

    Raises:
        ConfigurationError: The keys are wrong.
        openai.OpenAIError: There is no key anywhere.
    """


@signed_like(openai.AsyncOpenAI)
class AsyncOpenAI(DropIn, AsyncSeam, openai.AsyncOpenAI):
    """The twin of ``stable_openai.OpenAI`` for tasks: takes the same parameters."""


class _Azure(DropIn):
    """What the two Azure clients have in common."""

    _aims = AzureAim
    _takes_environment = False

    def _has_other_credentials(self, options: Mapping[str, Any]) -> bool:
        # Where Azure's own credential is at hand, the process-wide pool's keys are taken for OpenAI's.
        ambient = ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN")
        return super()._has_other_credentials(options) or any(os.environ.get(name) for name in ambient)


@signed_like(openai.AzureOpenAI)
class AzureOpenAI(_Azure, SyncSeam, openai.AzureOpenAI):
    """``openai.AzureOpenAI`` over a pool of keys, each of which may carry its endpoint and its deployment with it.

    For example::

        AzureOpenAI(api_version="2024-10-21", azure_endpoint="https://eu.openai.azure.com", api_key=[
            Key("…", base_url="https://eu.openai.azure.com", deployment={"gpt-4o": "gpt-4o-eu"}),
            Key("…", base_url="https://us.openai.azure.com", deployment={"gpt-4o": "gpt-4o-us"}),
        ])
    """


@signed_like(openai.AsyncAzureOpenAI)
class AsyncAzureOpenAI(_Azure, AsyncSeam, openai.AsyncAzureOpenAI):
    """The twin of ``stable_openai.AzureOpenAI`` for tasks."""
