"""The provider over HTTP, on the loopback address only. Nothing here decides; `Provider` does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import struct
from typing import TYPE_CHECKING, Any

from aiohttp import web

from stable_openai.simulator.admin import answer_admin
from stable_openai.simulator.control import control
from stable_openai.simulator.messages import Fate, Reply, Request
from stable_openai.simulator.reading import read_request
from stable_openai.simulator.refusals import Facts, refuse
from stable_openai.simulator.routes import METHODS, Route, find_route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stable_openai.simulator.messages import JSON
    from stable_openai.simulator.provider import Provider

HOST = "127.0.0.1"
ABORT = struct.pack("ii", 1, 0)
STOP_S = 1.0

# aiohttp reports broken connections, and here they are broken on purpose.
_logger = logging.getLogger("stable_openai.simulator.http")
_logger.addHandler(logging.NullHandler())
_logger.propagate = False


class Server:
    """Listens on the loopback address from `start` to `stop`, in the loop that runs.

    Args:
        provider: What answers.
        port: Port to listen on; 0 for a free one.
        clock: Gives seconds; only differences matter.
    """

    def __init__(self, provider: Provider, port: int, clock: Callable[[], float]) -> None:
        self._provider = provider
        self._port = port
        self._clock = clock
        self._runner: web.ServerRunner | None = None
        self._waiting: set[asyncio.Task[Any]] = set()

    async def start(self) -> int:
        """Listen, and give the port."""
        loop = asyncio.get_running_loop()
        most = self._provider.settings.max_body_bytes

        def make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
            return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=most)

        server = web.Server(
            self._handle,
            request_factory=make_request,
            handler_cancellation=True,
            access_log=None,
            logger=_logger,
        )
        runner = web.ServerRunner(server, shutdown_timeout=STOP_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self._port, backlog=1024).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        port: int = runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        """Cut off what is under way and close every connection."""
        runner, self._runner = self._runner, None
        for task in self._waiting:
            task.cancel()
        if runner is not None:
            await runner.cleanup()

    # -- handling

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        route = find_route(http.path)
        if route is None:
            return self._error("unknown_url", f"{http.method} {http.path}")
        if http.method != METHODS[route.place]:
            return self._error("bad_method", f"{http.method} {http.path}")
        if route.place == "answer":
            try:
                body = await http.read()
            except web.HTTPRequestEntityTooLarge:
                return self._error("too_long", limit=self._provider.settings.max_body_bytes)
            return await self._answer(http, read_request(secret_of(http), route.path, body, route.deployment))
        if route.place == "models":
            return await self._answer(http, Request(secret_of(http), path=route.path))
        return await self._other(http, route)

    async def _other(self, http: web.BaseRequest, route: Route) -> web.Response:
        if route.place == "admin":
            return json_response(*answer_admin(self._provider, route.path, secret_of(http), http.query))
        if route.place == "stats":
            return json_response(200, self._provider.stats().as_dict())
        # A web page cannot send this type without asking first, so no page can work the controls.
        if http.content_type != "application/json":
            return json_response(415, {"error": {"message": "send the control as application/json"}})
        try:
            payload = json.loads(await http.read())
        except ValueError:
            return json_response(400, {"error": {"message": "the body is no valid JSON"}})
        wrong = control(self._provider, payload)
        return json_response(200, {"ok": True}) if wrong is None else json_response(400, {"error": {"message": wrong}})

    def _error(self, kind: str, message: str = "", limit: int = 0) -> web.Response:
        return json_response(*refuse(self._provider.settings.style, kind, Facts(message=message, limit=limit)))

    async def _answer(self, http: web.BaseRequest, request: Request) -> web.StreamResponse:
        reply = self._provider.reply(request, self._clock(), hold=True)
        try:
            if reply.latency_s > 0.0 or reply.events is not None:
                with self._cut_off_at_stop():
                    return await self._deliver(http, reply)
            return await self._deliver(http, reply)
        finally:
            self._provider.finish(reply)

    @contextlib.contextmanager
    def _cut_off_at_stop(self) -> Iterator[None]:
        task = asyncio.current_task()
        if task is None:  # not so within a handler
            yield
            return
        self._waiting.add(task)
        try:
            yield
        finally:
            self._waiting.discard(task)

    async def _deliver(self, http: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        if reply.fate is Fate.HANG:
            await asyncio.get_running_loop().create_future()  # cancelled when the client gives up, and at stop
        if reply.latency_s > 0.0:
            await asyncio.sleep(reply.latency_s)
        if reply.fate is Fate.RESET:
            reset(http)
            return web.Response()  # nobody gets it
        if reply.events is None:
            return web.Response(body=reply.content(), status=reply.status, headers=reply.headers)
        return await self._stream(http, reply)

    @staticmethod
    async def _stream(http: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(status=reply.status, headers=reply.headers)
        await response.prepare(http)
        events = [event.encode() for event in reply.events or ()]
        if reply.gap_s > 0.0:
            for event in events:
                await response.write(event)
                await asyncio.sleep(reply.gap_s)
        else:
            await response.write(b"".join(events))
        if reply.fate is Fate.CUT and http.transport is not None:
            http.transport.close()  # sends what was written, but not the end of the body
        return response


def secret_of(http: web.BaseRequest) -> str:
    """Give the credential of a request: a Bearer token or Azure's header."""
    kind, _, token = http.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else http.headers.get("api-key", "")


def reset(http: web.BaseRequest) -> None:
    """Reset the connection, so that the client sees it broken rather than closed."""
    transport = http.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        transport.abort()


def json_response(status: int, body: JSON) -> web.Response:
    """Make a JSON answer."""
    return web.Response(body=json.dumps(body).encode(), status=status, headers={"content-type": "application/json"})
