"""HTTP connections that many clients share: opened once, whoever asks, in whatever thread or event loop.

``Connections`` hands out light httpx clients: 20 µs each, where one with a TLS context of its own costs 20 to 180 ms.
"""

from .connections import Connections

__all__ = ["Connections"]
