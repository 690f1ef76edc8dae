"""A loopback provider that behaves as real OpenAI-compatible ones do, for tests and rehearsals.

    with Simulator(keys=[SimKey("sk-sim-a", rpm=60), SimKey("sk-sim-b", state="dead")], minute=2.0) as sim:
        client = openai.OpenAI(api_key="sk-sim-a", base_url=sim.base_url)

`Provider` is the same without HTTP and with time as an argument. Names load on first use; aiohttp loads with the
first server.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stable_openai.simulator.loading import settings_from_mapping, settings_from_toml
    from stable_openai.simulator.messages import Event, Fate, Reply, Request
    from stable_openai.simulator.presets import demo_keys, equal_keys, shared_keys
    from stable_openai.simulator.provider import Provider
    from stable_openai.simulator.settings import Settings, SimKey, SimLimits, SimOwner
    from stable_openai.simulator.simulator import Simulator, run_forever
    from stable_openai.simulator.stats import Arrival, Stats, Tally

__all__ = [
    "Arrival",
    "Event",
    "Fate",
    "Provider",
    "Reply",
    "Request",
    "Settings",
    "SimKey",
    "SimLimits",
    "SimOwner",
    "Simulator",
    "Stats",
    "Tally",
    "demo_keys",
    "equal_keys",
    "run_forever",
    "settings_from_mapping",
    "settings_from_toml",
    "shared_keys",
]

_HOMES = {
    "loading": ("settings_from_mapping", "settings_from_toml"),
    "messages": ("Event", "Fate", "Reply", "Request"),
    "presets": ("demo_keys", "equal_keys", "shared_keys"),
    "provider": ("Provider",),
    "settings": ("Settings", "SimKey", "SimLimits", "SimOwner"),
    "simulator": ("Simulator", "run_forever"),
    "stats": ("Arrival", "Stats", "Tally"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
