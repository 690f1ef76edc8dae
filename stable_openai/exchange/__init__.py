"""One HTTP request over the keys of a pool: what the clients, the transports and the gateway have in common.

``Exchange`` decides, without I/O; ``send`` and ``asend`` act. Requests and responses are httpx's or httpx2's, by shape.
"""

from .aims import Aim, AzureAim
from .drivers import asend, send
from .exchange import Ended, Exchange
from .observing import Observation, aobserve, observe

__all__ = ["Aim", "AzureAim", "Ended", "Exchange", "Observation", "aobserve", "asend", "observe", "send"]
