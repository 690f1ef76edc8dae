"""The HTTP server: ``/ask`` and ``/renew``, and an API of JSON for sessions beside them."""

from .server import HttpOptions, HttpServer, http_app, http_server

__all__ = ["HttpOptions", "HttpServer", "http_app", "http_server"]
