"""Looks at the pool now and then, and at once where a key's state changes; tells those who show it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from .board import Board, make_board
from .minutes import Minutes

if TYPE_CHECKING:
    from stable_openai.pool.events import Event
    from stable_openai.pool.pool import KeyPool

    from .settings import StatusOptions

__all__ = ["Listener", "Watch"]

_logger = logging.getLogger("stable_openai.gateway")
_GAP: Final = 0.25  # seconds between two looks, however much happens
_KEYS_A_SECOND: Final = 100  # looked at: of 1,000 keys, each 10 s
_SLOWEST: Final = 30.0
_SAID: Final = 20


class Listener:
    """Somebody who shows the state; is told that there is something new, and looks at it when it comes to it.

    So nothing piles up for a slow one: what it is told holds one thing at most.
    """

    def __init__(self, said: int) -> None:
        self.news = asyncio.Event()
        self.said = said


class Watch:
    """What the page knows of the pool.

    Args:
        pool: The pool.
        options: How often to look, and how many may listen.
    """

    def __init__(self, pool: KeyPool, options: StatusOptions) -> None:
        self.pool = pool
        self.options = options
        self.ended = False
        self._clock = pool.clock
        self._minutes = Minutes(self._clock.monotonic())
        self._board: Board | None = None
        self._looking = asyncio.Lock()
        self._happened = asyncio.Event()
        self._said: deque[str] = deque(maxlen=_SAID)
        self._is_old = False  # something has happened since
        self._number = 0  # of what was said
        self._listeners: set[Listener] = set()

    # -- looking

    async def board(self) -> Board:
        """The state now, or as it was a moment ago if nothing was heard since."""
        board = self._board
        if board is None or self._is_old or self._clock.monotonic() - board.at >= self.gap:
            board = await self.look()
        return board

    async def latest(self) -> Board:
        """The state as it was looked at last."""
        return self._board or await self.look()

    async def look(self) -> Board:
        """Look at the pool, in a thread: a shared store may let one wait."""
        async with self._looking:
            self._is_old = False
            statuses = await asyncio.to_thread(self.pool.status)
            now = self._clock.monotonic()
            came = self._minutes.add(statuses, now)
            minutes = self._minutes.counts(now)
            board = make_board(
                statuses, now, self._clock.time(), before=self._board, came=came,
                minutes=minutes, waiting=len(self.pool.line),
            )  # fmt: skip
            self._board = board
        for listener in self._listeners:
            listener.news.set()
        return board

    @property
    def period(self) -> float:
        """Seconds between two looks where nothing happens."""
        return max(self.options.every, min(len(self.pool) / _KEYS_A_SECOND, _SLOWEST))

    @property
    def gap(self) -> float:
        """Seconds between two looks at least, however much happens."""
        return min(max(_GAP, self.period / 8), self.options.every)

    async def run(self) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()

        def told(event: Event) -> None:  # in any thread
            loop.call_soon_threadsafe(self._tell, str(event))

        forget = self.pool.on_event(told)
        try:
            while True:
                await self._look_or_say_why()
                await self._clock.asleep(self.gap)
                await self._pause()
                self._happened.clear()
        finally:
            forget()

    async def _look_or_say_why(self) -> None:
        try:
            await self.look()
        except Exception as error:  # noqa: BLE001  # a store that is lost may come back
            _logger.warning("the status page could not look at the pool: %s", type(error).__name__)

    def _tell(self, words: str) -> None:
        self._said.append(words)
        self._number += 1
        self._is_old = True
        if self._listeners:  # else it can wait until somebody asks
            self._happened.set()

    async def _pause(self) -> None:
        waits = {
            asyncio.ensure_future(self._clock.asleep(max(self.period - self.gap, 0.0))),
            asyncio.ensure_future(self._happened.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # -- telling

    def listen(self) -> Listener | None:
        """Tell somebody from now on, until ``leave``; None: there are enough of them, or it is over."""
        if self.ended or len(self._listeners) >= self.options.max_listeners:
            return None
        listener = Listener(self._number)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Tell that one no more."""
        self._listeners.discard(listener)

    def said_since(self, listener: Listener) -> list[str]:
        """What has happened since that one asked last; of very much, the end."""
        new = min(self._number - listener.said, len(self._said))
        listener.said = self._number
        return list(self._said)[len(self._said) - new :]

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def end(self) -> None:
        """It is over: those who listen leave."""
        self.ended = True
        for listener in self._listeners:
            listener.news.set()
