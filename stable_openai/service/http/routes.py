"""What each address does: ``/renew`` and ``/ask`` as the service's first version had them, and JSON beside them."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from stable_openai.service.config import REQUIRED
from stable_openai.service.errors import InvalidArgument, ServiceError
from stable_openai.service.texts import clean

from .bodies import flag_in, object_in, text_in
from .gate import authorization_of
from .problems import json_response, problem_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from stable_openai.service.callers import Callers
    from stable_openai.service.sessions import Sessions

__all__ = ["Routes"]

_EVENTS: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Routes:
    """The addresses of a server.

    Args:
        sessions: The sessions.
        callers: Who may ask.
        document: What ``/openapi.json`` says.
    """

    def __init__(self, sessions: Sessions, callers: Callers, document: Mapping[str, Any]) -> None:
        self._sessions = sessions
        self._callers = callers
        self._document = document

    def all(self) -> list[web.RouteDef]:
        """What an application is given."""
        session = "/v1/sessions/{session_id}"
        return [
            web.post("/renew", self._renew),
            web.post("/ask", self._ask),
            web.post("/v1/sessions", self._make),
            web.get(session, self._look),
            web.delete(session, self._delete),
            web.post(f"{session}/messages", self._say),
            web.get("/openapi.json", self._describe),
            web.get("/healthz", self._health),
        ]

    def _caller(self, request: web.Request) -> str:
        return self._callers.name_of(authorization_of(request))

    # -- as the first version had it

    async def _renew(self, request: web.Request) -> web.Response:
        body = await object_in(request)
        if not any(body.get(name) for name in ("access_token", "api_key", "pool")):
            raise InvalidArgument("access_token is required")
        await self._sessions.renew(body, self._caller(request))
        return web.Response(text="ok")

    async def _ask(self, request: web.Request) -> web.Response:
        prompt = text_in(await object_in(request, ("prompt",)), "prompt")
        caller = self._caller(request)
        async with self._callers.request(caller) as use:
            reply = await self._sessions.ask_own(prompt, caller)
            use.note(reply, prompt)
        return web.Response(text=clean(reply))

    # -- sessions

    async def _make(self, request: web.Request) -> web.Response:
        body = await object_in(request, ("config", "initial_prompt"))
        prompt, config = text_in(body, "initial_prompt"), body.get("config")
        if config is None:
            raise InvalidArgument(f"config: {REQUIRED}")
        if not isinstance(config, dict):
            raise InvalidArgument("config: must be a JSON object")
        caller = self._caller(request)
        async with self._callers.request(caller) as use:
            made = await self._sessions.new(config, prompt, caller)
            use.note(made.initial_response, prompt)
        where = {"Location": f"/v1/sessions/{made.session_id}"}
        return json_response(made._asdict(), web.HTTPCreated.status_code, where)

    async def _look(self, request: web.Request) -> web.Response:
        view = self._sessions.look(request.match_info["session_id"], self._caller(request))
        return json_response(
            {
                "session_id": view.session_id,
                "model": view.model,
                "pool": view.pool or (view.pool is not None),
                "needs_key": view.needs_key,
                "created_at": _instant(view.created_at),
                "used_at": _instant(view.used_at),
                "expires_at": _instant(view.expires_at),
                "messages": view.messages,
            }
        )

    async def _delete(self, request: web.Request) -> web.Response:
        session_id = request.match_info["session_id"]
        self._sessions.delete(session_id, self._caller(request))
        return json_response({"session_id": session_id})

    async def _say(self, request: web.Request) -> web.StreamResponse:
        body = await object_in(request, ("prompt", "stream"))
        prompt, session_id, caller = text_in(body, "prompt"), request.match_info["session_id"], self._caller(request)
        if flag_in(body, "stream"):
            return await self._stream(request, session_id, prompt, caller)
        async with self._callers.request(caller) as use:
            reply = await self._sessions.ask(session_id, prompt, caller)
            use.note(reply, prompt)
        return json_response({"response": reply})

    async def _stream(self, request: web.Request, session_id: str, prompt: str, caller: str) -> web.StreamResponse:
        """Send server-sent events. What goes wrong before the first piece is an ordinary refusal."""
        async with (
            self._callers.request(caller) as use,
            contextlib.aclosing(self._sessions.stream(session_id, prompt, caller)) as pieces,
        ):
            first = await anext(pieces, "")
            response = web.StreamResponse(headers=_EVENTS)
            await response.prepare(request)
            said = ""
            try:
                async for piece in _after(first, pieces):
                    said += piece
                    await response.write(_event("piece", {"text": clean(piece)}))
            except ServiceError as failure:
                await response.write(_event("error", problem_of(failure)))
            else:
                use.note(said, prompt)
                await response.write(_event("done", {"response": clean(said)}))
            await response.write_eof()
            return response

    # -- about the server

    async def _describe(self, _: web.Request) -> web.Response:
        return json_response(self._document)

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")


async def _after(first: str, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    if first:
        yield first
    async for piece in rest:
        yield piece


def _event(kind: str, data: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode("utf-8", "replace")


def _instant(moment: float) -> str:
    """A moment as RFC 3339 has it."""
    return datetime.fromtimestamp(moment, tz=timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
