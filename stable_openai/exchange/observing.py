"""One HTTP request inside a function that has a key already: nothing is decided here, what it meets is told on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stable_openai.pool.usage import tokens_used

from .events import watch_of
from .streams import watched, watched_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stable_openai.failover.attempts import Attempt

    from .aims import Aim
    from .events import EventWatch

__all__ = ["Observation", "aobserve", "observe"]

_ERRORS_FROM = 400


class Observation:
    """What one request tells the attempt that it belongs to: the limits in the headers, the usage of tokens.

    Args:
        attempt: The attempt. It lasts until the last of its streams is over.
        aim: What in the request travels with the key.
        model: The model that it is for, or None.
    """

    __slots__ = ("_attempt", "_model", "aim")

    is_over = False

    def __init__(self, attempt: Attempt, aim: Aim, model: str | None) -> None:
        self._attempt = attempt
        self._model = model
        self.aim = aim

    def note(self, error: BaseException) -> None:
        """The function's own loop writes the notes."""

    def outgoing(self, request: Any) -> Any:
        """The request under the attempt's key: on Azure, the deployment may differ."""
        return self.aim.addressed(request, self._attempt.key, self._model)

    def seen(self, response: Any) -> EventWatch | None:
        """Look at an answer; for a stream that is still coming: what reads its events."""
        if response.status_code >= _ERRORS_FROM:
            return None  # openai raises it, in the function
        self._attempt.see(response)
        if response.is_closed:
            self._use(tokens_used(response) if self._attempt.grant.tokens else None)
            return None
        return watch_of(response, str(response.request.url))

    def _use(self, tokens: int | None) -> None:
        if tokens is not None:
            self._attempt.use(tokens)

    def hold(self) -> Observation:
        """Make the attempt last until the stream is over."""
        self._attempt.hold()
        return self

    def ended_late(self, response: Any, watch: EventWatch | None, error: BaseException | None) -> None:  # noqa: ARG002  # as an exchange has it
        """A stream is over."""
        if watch is not None:
            self._use(watch.tokens)
        self._attempt.leave(error if error is not None else None if watch is None else watch.error)


def observe(observation: Observation, request: Any, transmit: Callable[[Any], Any]) -> Any:
    """Send a request, and tell on what it meets."""
    response = transmit(observation.outgoing(request))
    watch = observation.seen(response)
    if not response.is_closed and response.status_code < _ERRORS_FROM:
        stream = watched(response, watch)
        stream.begin(ahead=False)
        stream.pass_on(observation.hold())
    return response


async def aobserve(observation: Observation, request: Any, transmit: Callable[[Any], Awaitable[Any]]) -> Any:
    """The twin of ``observe`` for tasks."""
    response = await transmit(observation.outgoing(request))
    watch = observation.seen(response)
    if not response.is_closed and response.status_code < _ERRORS_FROM:
        stream = watched_async(response, watch)
        await stream.begin(ahead=False)
        stream.pass_on(observation.hold())
    return response
