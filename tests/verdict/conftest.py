"""A loopback provider: each path answers in one way."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

LIMITED = {
    "error": {
        "message": "Limit hit for acme-4o in organization org-a1b2c3 on requests per min (RPM): Limit 3, Used 3, "
        "Requested 1. Please try again in 1.5s.",
        "type": "requests",
        "code": "rate_limit_exceeded",
    }
}
FINE = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "acme-4o",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
}
EVENT = {"error": {"message": "The server is overloaded", "type": "server_error", "code": None}}


class _Handler(BaseHTTPRequestHandler):
    released: threading.Event

    def log_message(self, *_args):
        """Tests read no access log."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.close_connection = True
        where = self.path.split("/")[1]
        if where == "limit":
            self._reply(429, json.dumps(LIMITED), {"retry-after": "2"})
        elif where == "plain":
            self._reply(200, "not json")
        elif where == "event":
            self._reply(200, f"data: {json.dumps(EVENT)}\n\n", {"content-type": "text/event-stream"})
        elif where == "half":
            self._reply(200, 'data: {"choices": []}\n\n', {"content-type": "text/event-stream"}, missing=500)
        elif where == "hang":
            self.released.wait(20)
        elif where != "drop":
            self._reply(200, json.dumps(FINE))

    do_GET = do_POST  # noqa: N815  # the name is http.server's

    def _reply(self, status, text, headers=None, *, missing=0):
        body = text.encode()
        self.send_response(status)
        fields = {"content-type": "application/json", **(headers or {}), "content-length": str(len(body) + missing)}
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that gave up is what the test is about."""


@pytest.fixture(scope="session")
def provider():
    """The address of a server on loopback whose first path segment says how it answers."""
    handler = type("Handler", (_Handler,), {"released": threading.Event()})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    handler.released.set()
    server.shutdown()
    server.server_close()
    thread.join(5)
