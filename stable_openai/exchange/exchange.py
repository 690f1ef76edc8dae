"""What becomes of one HTTP request: which key it is sent under, and whether an answer ends it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import NoKeyAvailable
from stable_openai.failover.calls import Call
from stable_openai.failover.notes import note_attempts
from stable_openai.failover.patience import Patience
from stable_openai.pool.usage import tokens_used
from stable_openai.verdict import Reason

from .events import watch_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    from stable_openai.errors import StableError
    from stable_openai.failover.attempts import Attempt, Attempts
    from stable_openai.pool.pool import KeyPool

    from .aims import Aim
    from .events import EventWatch

__all__ = ["Ended", "Exchange"]

_ERRORS_FROM: Final = 400  # statuses of errors (RFC 9110, 15.5 and 15.6)
_LOOKED_AT: Final = 512  # bytes at the start of a good answer in which an error would stand
_PATIENCE: Final = Patience()


class Ended(BaseException):
    """Carries the error that ends a request past clients that take any ``Exception`` for a connection that broke."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Exchange:
    """One request of a client's, over as many keys as it takes; and over the client's own retries, where it has any.

    Args:
        pool: Where keys come from.
        aim: What in the request is the pool's to set.
        model: The model that it is for, or None.
        tokens: Tokens to reserve for each attempt.
        patience: The bounds.
        affinity: What the request belongs to, such as a conversation.
        backs_off: Whether the provider's own trouble is met here; False where the client has retries of its own.
        retries: How often that client tries again. Trouble that a stream tells of is met here even so, as often as
            that: the client takes a 200 for the end.
    """

    __slots__ = ("_broken", "_last", "_replayable", "_retries", "_url", "aim", "call")

    def __init__(
        self,
        pool: KeyPool,
        aim: Aim,
        *,
        model: str | None = None,
        tokens: int = 0,
        patience: Patience = _PATIENCE,
        affinity: Hashable | None = None,
        backs_off: bool = True,
        retries: int = 0,
    ) -> None:
        self.aim = aim
        self._retries = retries
        self.call = Call(pool, patience, model, tokens, backs_off=backs_off)
        self.call.ask.affinity = affinity
        self._last: Any = None
        self._broken: BaseException | None = None
        self._replayable: bool | None = None
        self._url = ""

    def attempts(self) -> Attempts:
        """The attempts, one after the other."""
        return self.call.attempts()

    def outgoing(self, request: Any, attempt: Attempt) -> Any:
        """The request as it is sent under the key of this attempt."""
        if self._replayable is None:
            self._replayable = is_replayable(request)  # as long as nobody has begun to read it
        self._url = str(request.url)
        return self.aim.addressed(request, attempt.key, self.call.ask.model)

    def without_key(self, error: StableError) -> Any:
        """No key could be had: the last answer, whose error the client will raise itself, where there was one.

        Raises:
            Ended: There was none.
        """
        if self._last is None or not isinstance(error, NoKeyAvailable):
            raise Ended(error)
        return self._last

    def broke(self, error: BaseException) -> bool:
        """Sending it failed: settle; whether to go on at once."""
        met = len(self.call.records)
        goes_on = self.call.failed(error) and bool(self._replayable)
        if len(self.call.records) > met:
            self._broken = error
        return goes_on

    def is_error(self, response: Any) -> bool:
        """Whether a response tells of an error by its status: its body is read before it is judged."""
        return bool(response.status_code >= _ERRORS_FROM)

    @property
    def reads_ahead(self) -> bool:
        """Whether a stream is read up to its first content before it is passed on: where there is another key."""
        return len(self.call.pool) > 1

    def watch(self, response: Any) -> EventWatch | None:
        """What reads the events of a response as they pass, where it is a stream of events."""
        return watch_of(response, self._url)

    def ends(self, response: Any, watch: EventWatch | None = None) -> bool:
        """Whether a response ends the request; False: it is settled, and another key may do better.

        Args:
            response: The response, with its body read (an error) or still open (a stream).
            watch: What has read the beginning of a stream of events.
        """
        refused = watch.error if watch is not None else response if self._tells_of_error(response) else None
        if refused is None:
            return True
        self._last, self._broken = response, None
        call = self.call
        theirs = call.backs_off
        call.backs_off = theirs or (watch is not None and self._troubles < self._retries)
        try:
            goes_on = call.rejected(refused)
        finally:
            call.backs_off = theirs
        return not (goes_on and self._replayable)

    def _tells_of_error(self, response: Any) -> bool:
        if self.is_error(response):
            return True
        body = getattr(response, "_content", b"")  # only what has been read: nothing is consumed here
        if b'"error"' not in body[:_LOOKED_AT] or is_object(body):
            return False
        return self.call.pool.judge(response).reason is not Reason.OK

    def ended_well(self, response: Any, tokens: int | None = None) -> None:
        """The answer was good: settle by its headers and its usage of tokens."""
        grant = self.call.grant
        if grant is not None and grant.tokens and tokens is None:
            tokens = tokens_used(response)
        self.call.succeeded(tokens, response)

    def ended_late(self, response: Any, watch: EventWatch | None, error: BaseException | None) -> None:
        """A stream that the caller has the beginning of is over: settle."""
        if self.call.grant is None:
            return
        if error is not None:
            self.call.failed(error, begun=True)
        elif watch is not None and watch.error is not None:
            self.call.rejected(watch.error, begun=True)
        else:
            self.ended_well(response, None if watch is None else watch.tokens)

    def note(self, error: BaseException) -> None:
        """Write on the error that the client raises what each attempt met."""
        records = self.call.records
        if records and not getattr(error, "__notes__", None):
            note_attempts(error, records)

    @property
    def is_over(self) -> bool:
        """Whether the client's own retries would be in vain: it was a matter of the keys, and all were asked."""
        verdict = self.call.verdict
        if verdict is None or verdict.is_request_fault:
            return False  # the client knows best: it sends a 409 again
        if not verdict.is_provider_trouble or self._troubles > self._retries:
            return True
        return self.call.is_late(after=verdict.wait_s or 0.0)

    def is_late(self) -> bool:
        """Whether it has met the provider's trouble, and has taken as long as it may: the client is not to go on."""
        verdict = self.call.verdict
        return verdict is not None and verdict.is_provider_trouble and self.call.is_late()

    @property
    def last(self) -> Any:
        """What the last attempt has met: an answer, or what was raised."""
        return self._last if self._broken is None else self._broken

    @property
    def _troubles(self) -> int:
        return sum(record.verdict.is_provider_trouble for record in self.call.records)


def is_object(body: bytes) -> bool:
    """Whether a body is one of OpenAI's objects: the ``error`` of a job that has failed refuses no request."""
    try:
        found = json.loads(body)
    except ValueError:
        return False
    return isinstance(found, dict) and ("object" in found or "id" in found)


def is_replayable(request: Any) -> bool:
    """Whether a request's body can be sent a second time."""
    if hasattr(request, "_content"):
        return True
    if hasattr(request, "_body_position"):  # requests': where in a file it began, if that can be told
        body = request.body
        return body is None or isinstance(body, (str, bytes)) or isinstance(request._body_position, int)  # noqa: SLF001
    fields = getattr(request.stream, "fields", None)  # of a multipart body: httpx rewinds files that can be
    if fields is None:
        return False
    files = (getattr(field, "file", None) for field in fields)
    return all(file is None or isinstance(file, (str, bytes)) or _is_seekable(file) for file in files)


def _is_seekable(file: Any) -> bool:
    seekable = getattr(file, "seekable", None)
    return bool(seekable()) if callable(seekable) else hasattr(file, "seek")
