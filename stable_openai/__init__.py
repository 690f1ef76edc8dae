"""Answer every OpenAI request once, at the full rate that all your API keys allow together.

``KeyManager(keys)`` once, ``@stable`` on the function that makes the call. See README.md, and the docstrings of the
names below; each loads on first use, so that ``import stable_openai`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .bulk.items import FailedBefore, Result
    from .bulk.mapping import amap, map  # noqa: A004  # the builtin one, with more to it
    from .bulk.record import RunRecord
    from .bulk.runs import AsyncRun, Run
    from .clients.openai_clients import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
    from .clock import ManualClock
    from .conversation.chat import Chat
    from .conversation.content import assistant_msg, system_msg, tool_msg, user_msg
    from .conversation.group import GroupChat, MalformedAnswer
    from .conversation.manager.manager import ChatManager
    from .conversation.manager.messages import ChatMessage
    from .conversation.manager.responses import ChatResponse
    from .conversation.manager.setup import ChatSetup
    from .doors.decorator import stable
    from .errors import (
        ConfigurationError,
        InjectionError,
        NoKeyAvailable,
        PoolClosed,
        RequestTooLarge,
        StableError,
        StoreError,
    )
    from .failover.hidden_retries import HiddenRetriesWarning
    from .keys import Key
    from .legacy.sharing import share_connections
    from .limits import Limits, Window
    from .pool.events import Event
    from .pool.lease import Lease
    from .pool.manager import KeyManager
    from .pool.pool import KeyPool
    from .pool.pool import KeyPool as AKPool
    from .stores.orders import Candidate, Strategy
    from .stores.snapshots import KeyStatus, LaneStatus, WindowStatus
    from .transports.httpx_transports import AsyncTransport, Transport
    from .transports.requests_adapter import PoolAdapter
    from .transports.requests_auth import PoolAuth
    from .verdict import Answer, Reason, Scope, Verdict, judge

__all__ = [
    "AKPool",
    "Answer",
    "AsyncAzureOpenAI",
    "AsyncOpenAI",
    "AsyncRun",
    "AsyncTransport",
    "AzureOpenAI",
    "Candidate",
    "Chat",
    "ChatManager",
    "ChatMessage",
    "ChatResponse",
    "ChatSetup",
    "ConfigurationError",
    "Event",
    "FailedBefore",
    "GroupChat",
    "HiddenRetriesWarning",
    "InjectionError",
    "Key",
    "KeyManager",
    "KeyPool",
    "KeyStatus",
    "LaneStatus",
    "Lease",
    "Limits",
    "MalformedAnswer",
    "ManualClock",
    "NoKeyAvailable",
    "OpenAI",
    "PoolAdapter",
    "PoolAuth",
    "PoolClosed",
    "Reason",
    "RequestTooLarge",
    "Result",
    "Run",
    "RunRecord",
    "Scope",
    "StableError",
    "StoreError",
    "Strategy",
    "Transport",
    "Verdict",
    "Window",
    "WindowStatus",
    "__version__",
    "amap",
    "assistant_msg",
    "judge",
    "map",
    "share_connections",
    "stable",
    "system_msg",
    "tool_msg",
    "user_msg",
]

_HOMES: Final = {
    "AKPool": "pool.pool",
    "Answer": "verdict",
    "AsyncAzureOpenAI": "clients.openai_clients",
    "AsyncOpenAI": "clients.openai_clients",
    "AsyncRun": "bulk.runs",
    "AsyncTransport": "transports.httpx_transports",
    "AzureOpenAI": "clients.openai_clients",
    "Candidate": "stores.orders",
    "Chat": "conversation.chat",
    "ChatManager": "conversation.manager.manager",
    "ChatMessage": "conversation.manager.messages",
    "ChatResponse": "conversation.manager.responses",
    "ChatSetup": "conversation.manager.setup",
    "ConfigurationError": "errors",
    "Event": "pool.events",
    "FailedBefore": "bulk.items",
    "GroupChat": "conversation.group",
    "HiddenRetriesWarning": "failover.hidden_retries",
    "InjectionError": "errors",
    "Key": "keys",
    "KeyManager": "pool.manager",
    "KeyPool": "pool.pool",
    "KeyStatus": "stores.snapshots",
    "LaneStatus": "stores.snapshots",
    "Lease": "pool.lease",
    "Limits": "limits",
    "MalformedAnswer": "conversation.group",
    "ManualClock": "clock",
    "NoKeyAvailable": "errors",
    "OpenAI": "clients.openai_clients",
    "PoolAdapter": "transports.requests_adapter",
    "PoolAuth": "transports.requests_auth",
    "PoolClosed": "errors",
    "Reason": "verdict",
    "RequestTooLarge": "errors",
    "Result": "bulk.items",
    "Run": "bulk.runs",
    "RunRecord": "bulk.record",
    "Scope": "verdict",
    "StableError": "errors",
    "StoreError": "errors",
    "Strategy": "stores.orders",
    "Transport": "transports.httpx_transports",
    "Verdict": "verdict",
    "Window": "limits",
    "WindowStatus": "stores.snapshots",
    "amap": "bulk.mapping",
    "assistant_msg": "conversation.content",
    "judge": "verdict",
    "map": "bulk.mapping",
    "share_connections": "legacy.sharing",
    "stable": "doors.decorator",
    "system_msg": "conversation.content",
    "tool_msg": "conversation.content",
    "user_msg": "conversation.content",
}
_OTHER_NAMES: Final = {"AKPool": "KeyPool"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("stable-openai")
    elif name in _HOMES:
        module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
        value = getattr(module, _OTHER_NAMES.get(name, name))
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
