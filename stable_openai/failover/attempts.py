"""One attempt, and the two pumps that make one after the other.

``Attempts`` acts on what a ``Call`` has decided: its ``__next__`` waits and fetches a key in a thread, its
``__anext__`` in a task. An ``Attempt`` is a context manager that only records what happened inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from stable_openai.errors import StableError
from stable_openai.pool.stopping import check, rest
from stable_openai.pool.usage import tokens_used

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import TracebackType

    from stable_openai.keys import Key
    from stable_openai.pool.pool import KeyPool
    from stable_openai.stores.protocol import Grant

    from .calls import Call

__all__ = ["Attempt", "Attempts"]

T = TypeVar("T")
_LAST: Final = object()


class Attempt:
    """One attempt: the key, and a context that records how it ends and swallows what will be tried again."""

    __slots__ = ("_answer", "_call", "_holders", "_returned", "_tokens", "begun", "grant")

    def __init__(self, call: Call, grant: Grant) -> None:
        self._call = call
        self.grant = grant
        self._tokens: int | None = None
        self._answer: object = None
        self._holders: list[object] = [_LAST]  # the function, and streams of it that are not over: one leaves at a time
        self._returned = False
        self.begun: list[None] = []  # grows when the caller gets a part of the answer: a failure is final then

    @property
    def key(self) -> Key:
        """The key to use."""
        return self.grant.key

    @property
    def pool(self) -> KeyPool:
        """Where the key comes from."""
        return self._call.pool

    def result(self, value: T) -> T:
        """Note what the answer says about its use of tokens, and pass it on."""
        if self.grant.tokens and self._tokens is None:
            self._tokens = tokens_used(value)
        return value

    def see(self, answer: object) -> None:
        """Note the headers of an answer: what they say of limits and of the key's owner reaches the pool."""
        self._answer = answer

    def use(self, tokens: int) -> None:
        """Note tokens that a request of this attempt has used."""
        self._tokens = (self._tokens or 0) + tokens

    def done(self) -> None:
        """The function has returned."""
        self._returned = True
        self.leave()

    def hold(self) -> None:
        """Make the attempt last until ``leave`` was called once more: a stream of it is still coming."""
        self._holders.append(None)

    def leave(self, failure: object = None) -> None:
        """The function, or a stream of it, is over; whoever leaves last settles.

        Args:
            failure: What a stream was broken by, an exception or an ``Answer``: as long as the function runs, it is for
                the function to say what becomes of that.
        """
        last = self._holders.pop() is _LAST
        if self._call.grant is not self.grant:
            return  # settled: the function itself has failed
        if isinstance(failure, BaseException) and self._returned:
            self._call.failed(failure, begun=True)
        elif failure is not None and self._returned:
            self._call.rejected(failure, begun=True)
        elif last:
            self._call.succeeded(self._tokens, self._answer)

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None:
            self.done()
            return False
        return self._call.failed(error, begun=bool(self.begun))


class Attempts:
    """The two pumps."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def __iter__(self) -> Iterator[Attempt]:
        return self

    def __next__(self) -> Attempt:
        call = self._call
        pool = call.pool
        if call.pause:
            rest(pool.clock, call.pause)
        check()
        now = pool.store.now()
        try:
            grant = pool.obtain(call.ask, call.budget(now))
        except StableError as error:
            final: Any = call.ended(error)
        else:
            return call.granted(grant, now)
        raise final

    def __aiter__(self) -> AsyncIterator[Attempt]:
        return self

    async def __anext__(self) -> Attempt:
        call = self._call
        pool = call.pool
        if call.pause:
            await pool.clock.asleep(call.pause)
        now = pool.store.now()
        try:
            grant = await pool.aobtain(call.ask, call.budget(now))
        except StableError as error:
            final: Any = call.ended(error)
        else:
            return call.granted(grant, now)
        raise final
