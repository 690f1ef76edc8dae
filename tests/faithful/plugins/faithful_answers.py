"""A loopback provider that answers each request with the least valid value of the type that the client expects.

openai's suite expects a mock server made from its API description, which its source distribution doesn't carry.
Each worker of the suite starts one of these; it looks at what type the last request was made for.
"""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from faithful_values import least_value
from openai import _base_client as base_client

_expected: Any = object


def _note_expected_types() -> None:
    client: Any = base_client.BaseClient
    original = client._maybe_override_cast_to

    def noted(self: Any, cast_to: Any, options: Any) -> Any:
        global _expected  # noqa: PLW0603  # a worker runs one test at a time
        _expected = original(self, cast_to, options)
        return _expected

    client._maybe_override_cast_to = noted


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body in one packet

    def answer(self) -> None:
        body = self._body()
        if b'"stream":true' in body.replace(b" ", b""):
            kind, content = "text/event-stream", b"data: [DONE]\n\n"
        else:
            kind, content = _content(_expected)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, *args: object) -> None: ...


def _content(expected: Any) -> tuple[str, bytes]:
    if expected is str:
        return "text/plain", b"text"
    if getattr(expected, "__name__", "") in {"HttpxBinaryResponseContent", "StreamedBinaryAPIResponse"}:
        return "application/octet-stream", b"\0\1\2"
    return "application/json", json.dumps(least_value(expected)).encode()


def _serve() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, name="faithful-answers", daemon=True).start()
    os.environ["TEST_API_BASE_URL"] = f"http://127.0.0.1:{server.server_address[1]}"


_note_expected_types()
_serve()
