"""Makes the TLS contexts of clients with ordinary settings once, where each client of the suite would make its own.

That is most of what building a client costs; the suite builds thousands.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from typing import Any

_SETTINGS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


def _share(library: str) -> None:
    transports: Any = importlib.import_module(f"{library}._transports.default")
    make = transports.create_ssl_context

    @functools.cache
    def ordinary(_settings: tuple[str | None, ...], **options: Any) -> Any:
        return make(**options)

    def shared(verify: Any = True, cert: Any = None, **options: Any) -> Any:
        if verify is not True or cert is not None:
            return make(verify=verify, cert=cert, **options)
        return ordinary(tuple(os.environ.get(name) for name in _SETTINGS), **options)

    transports.create_ssl_context = shared


for _library in ("httpx", "httpx2"):
    if importlib.util.find_spec(_library) is not None:
        _share(_library)
