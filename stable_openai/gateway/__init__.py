"""The gateway: an endpoint that speaks OpenAI's API over a pool of keys, for programs in any language."""

from .app import create_app, serve
from .gateway import GATEWAY, Gateway
from .options import GatewayOptions

__all__ = ["GATEWAY", "Gateway", "GatewayOptions", "create_app", "serve"]
