"""Controls as JSON, for a simulator in another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stable_openai.simulator.messages import JSON
    from stable_openai.simulator.provider import Provider

CONTROLS = {
    "outage": ("kind",),
    "recover": (),
    "revoke": ("key",),
    "pay": ("key",),
    "unpay": ("key",),
    "set_state": ("key", "state"),
    "change_key": ("key", ...),
    "change_owner": ("name", ...),
    "tune": (...,),
    "reset_stats": (),
}
"""Actions and the fields that each takes; `...` for any others."""


def control(provider: Provider, payload: JSON) -> str | None:
    """Carry out `{"action": "outage", "kind": "503"}` and its like; give what is wrong with it, or None.

    Args:
        provider: The provider to change.
        payload: An action of `CONTROLS` and its fields. A pair of latencies is a list.
    """
    if not isinstance(payload, dict):
        return "the body must be a JSON object with an action"
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in payload.items() if k != "action"}
    takes = CONTROLS.get(str(payload.get("action")))
    if takes is None:
        return f"action must be one of {', '.join(CONTROLS)}"
    missing = [name for name in takes if isinstance(name, str) and name not in fields]
    if missing:
        return f"{payload['action']} needs {', '.join(missing)}"
    extra = sorted(set(fields) - set(takes))
    if extra and ... not in takes:
        return f"{payload['action']} takes no {extra[0]!r}"
    try:
        getattr(provider, payload["action"])(**fields)
    except (LookupError, TypeError, ValueError) as error:
        return str(error.args[0])
    return None
