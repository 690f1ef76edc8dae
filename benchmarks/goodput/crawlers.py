"""The clients that crawl: ours, the peers, and the oracle. Each makes a function of a prompt.

In scaled time each peer gets scaled settings: what it counts in seconds of its own (back-offs, cooldowns) is shortened
as the provider's minute is. All use the openai client over one pool of connections, but for LiteLLM, which brings its
own.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CRAWLERS", "load", "warm"]

MODEL: Final = "gpt-4o-mini"
_TIMEOUT_S: Final = 20.0


def load(client: str, scale: float) -> None:
    """Import what takes long, before the client is told where the provider is."""
    if client.startswith("LiteLLM"):
        os.environ.update(INITIAL_RETRY_DELAY=str(0.5 * scale), MAX_RETRY_DELAY=str(8 * scale))
        importlib.import_module("litellm")
    importlib.import_module("openai")


def _clients(spec: dict[str, Any], *, max_retries: int = 0) -> dict[str, Any]:
    """An openai client for each key, over one pool of connections."""
    import openai

    http = openai.DefaultHttpxClient(trust_env=False, timeout=_TIMEOUT_S)
    return {
        key["secret"]: openai.OpenAI(
            api_key=key["secret"], base_url=spec["base_url"], http_client=http, max_retries=max_retries
        )
        for key in spec["keys"]
    }


def warm(base_url: str) -> None:
    """Send one request with a key that nobody has: the first one loads half of the openai client, some 0.4 s late."""
    import openai

    http = openai.DefaultHttpxClient(trust_env=False, timeout=_TIMEOUT_S)
    with contextlib.suppress(openai.AuthenticationError):
        _send(openai.OpenAI(api_key="sk-sim-nobody", base_url=base_url, http_client=http, max_retries=0), "warm up")


def _send(client: Any, prompt: str) -> Any:
    return client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": prompt}])


def ours(spec: dict[str, Any]) -> Callable[[str], Any]:
    """``@stable``. That one key is dead and one unpaid, it finds out for itself."""
    import tenacity

    from stable_openai import Key, KeyPool, Limits, Window, stable

    def limits(key: dict[str, Any]) -> Limits:
        if not spec["told"]:
            return Limits()
        extra = key["windows"][1:] if spec["told_seconds"] else ()
        return Limits(rpm=key["rpm"], windows=tuple(Window("requests", most, seconds=s) for most, s in extra))

    clients = _clients(spec)
    keys = [Key(key["secret"], name=key["name"], limits=limits(key)) for key in spec["keys"]]
    pool = KeyPool(keys, minute=spec["minute"], pace=spec["pace"])

    # Its own back-off after server errors, scaled like everybody's.
    @stable(pool=pool, wait=tenacity.wait_random_exponential(multiplier=spec["scale"] / 2, max=20 * spec["scale"]))
    def ask(prompt: str, api_key: str = "") -> Any:
        return _send(clients[api_key], prompt)

    return ask


def openai_retries(spec: dict[str, Any]) -> Callable[[str], Any]:
    """Keys in turn, with the openai client's own two retries, which stay on the key."""
    import openai._base_client as base

    base.INITIAL_RETRY_DELAY *= spec["scale"]  # type: ignore[misc]
    base.MAX_RETRY_DELAY *= spec["scale"]  # type: ignore[misc]
    turns, lock = itertools.cycle(_clients(spec, max_retries=2).values()), threading.Lock()

    def ask(prompt: str) -> Any:
        with lock:
            client = next(turns)
        return _send(client, prompt)

    return ask


def tenacity_backoff(spec: dict[str, Any]) -> Callable[[str], Any]:
    """Keys in turn, under tenacity's random exponential back-off: the recipe of OpenAI's cookbook."""
    import tenacity

    scale = spec["scale"]
    turns, lock = itertools.cycle(_clients(spec).values()), threading.Lock()

    @tenacity.retry(
        wait=tenacity.wait_random_exponential(multiplier=scale, min=scale, max=60 * scale),
        stop=tenacity.stop_after_attempt(6),
        reraise=True,
    )
    def ask(prompt: str) -> Any:
        with lock:
            client = next(turns)
        return _send(client, prompt)

    return ask


def pyrate_tenacity(spec: dict[str, Any]) -> Callable[[str], Any]:
    """A limiter of pyrate-limiter for each key: the first in turn that has room, under the same back-off."""
    import tenacity
    from pyrate_limiter import Limiter, Rate

    scale, clients = spec["scale"], _clients(spec)
    limiters = {
        key["secret"]: Limiter(
            [Rate(most, max(1, round(seconds * 1000))) for most, seconds in reversed(key["windows"])],
            buffer_ms=max(1, round(50 * scale)),
        )
        for key in spec["keys"]
    }
    turns, lock = itertools.cycle(limiters), threading.Lock()

    @tenacity.retry(
        wait=tenacity.wait_random_exponential(multiplier=scale, min=scale, max=60 * scale),
        stop=tenacity.stop_after_attempt(6),
        reraise=True,
    )
    def ask(prompt: str) -> Any:
        with lock:
            order = [next(turns) for _ in limiters][: len(limiters)]
            next(turns)  # so that not every call begins with the same key
        for secret in order:
            if limiters[secret].try_acquire(secret, blocking=False):
                break
        else:
            secret = order[0]
            limiters[secret].try_acquire(secret, blocking=True)
        return _send(clients[secret], prompt)

    return ask


def litellm_shuffle(spec: dict[str, Any]) -> Callable[[str], Any]:
    """LiteLLM's Router, with its default strategy."""
    return _litellm(spec, "simple-shuffle")


def litellm_usage(spec: dict[str, Any]) -> Callable[[str], Any]:
    """LiteLLM's Router, with the strategy that counts. It counts by the clock's minute, whatever ours is."""
    return _litellm(spec, "usage-based-routing-v2")


def _litellm(spec: dict[str, Any], strategy: str) -> Callable[[str], Any]:
    import litellm
    import openai

    scale = spec["scale"]

    litellm.suppress_debug_info = True
    deployments = [
        {
            "model_name": MODEL,
            "litellm_params": {
                "model": f"openai/{MODEL}",
                "api_key": key["secret"],
                "api_base": spec["base_url"],
                "rpm": round(key["rpm"] / scale),  # its minute has sixty seconds
                "max_retries": 0,
            },
        }
        for key in spec["keys"]
    ]
    with contextlib.suppress(openai.APIError):  # it takes this refusal for a bad request
        messages = [{"role": "user", "content": "warm up"}]
        litellm.completion(
            model=f"openai/{MODEL}", api_key="sk-sim-nobody", api_base=spec["base_url"], messages=messages
        )
    router = litellm.Router(
        model_list=deployments, routing_strategy=strategy, num_retries=3, cooldown_time=5 * scale, timeout=_TIMEOUT_S
    )

    def ask(prompt: str) -> Any:
        return router.completion(model=MODEL, messages=[{"role": "user", "content": prompt}])

    return ask


def old(spec: dict[str, Any]) -> Callable[[str], Any]:
    """stable-openai 0.1.1, with its clocks scaled."""
    import types

    import backoff._sync
    import stable_openai.key

    from stable_openai import KeyManager, stable

    shim = types.SimpleNamespace(**{**vars(time), "sleep": lambda seconds: time.sleep(seconds * spec["scale"])})
    stable_openai.key.time = shim
    backoff._sync.time = shim  # noqa: SLF001
    clients = _clients(spec)
    KeyManager([key["secret"] for key in spec["keys"]])

    @stable
    def ask(prompt: str, api_key: str = "") -> Any:
        return _send(clients[api_key], prompt)

    return ask


def oracle(spec: dict[str, Any]) -> Callable[[str], Any]:
    """Knows the limits and the keys that work, and when its requests have arrived."""
    import openai
    from oracle import BucketSlots, Oracle, SlidingSlots

    clients = _clients(spec)

    def slots(key: dict[str, Any]) -> BucketSlots | SlidingSlots:
        if spec["refill"]:
            return BucketSlots(key["rpm"], spec["minute"])
        return SlidingSlots(key["windows"], spec["minute"] / key["rpm"] if spec["pace"] else 0.0)

    seer = Oracle({key["secret"]: slots(key) for key in spec["keys"] if key["state"] == "ok"})
    errors = (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError)

    def ask(prompt: str) -> Any:
        for _ in range(20):
            secret, arrival = seer.reserve()
            try:
                raw = clients[secret].chat.completions.with_raw_response.create(
                    model=MODEL, messages=[{"role": "user", "content": prompt}]
                )
            except errors:
                seer.arrived(secret, arrival, time.monotonic())
                continue
            took = float(raw.headers.get("openai-processing-ms", 1)) / 1000
            seer.arrived(secret, arrival, time.monotonic() - max(0.0, took - 0.002))
            return raw.parse()
        raise RuntimeError("twenty attempts have failed")

    return ask


CRAWLERS: Final[dict[str, Callable[[dict[str, Any]], Callable[[str], Any]]]] = {
    "oracle": oracle,
    "oracle, refill": oracle,
    "oracle, paced": oracle,
    "stable_openai": ours,
    "stable_openai, rpm alone": ours,
    "stable_openai, pace": ours,
    "openai's retries": openai_retries,
    "tenacity": tenacity_backoff,
    "pyrate + tenacity": pyrate_tenacity,
    "LiteLLM shuffle": litellm_shuffle,
    "LiteLLM usage": litellm_usage,
    "stable-openai 0.1.1": old,
}
