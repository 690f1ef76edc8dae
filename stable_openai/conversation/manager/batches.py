"""Several threads at one list, in bounds, and what happens when somebody presses Ctrl-C."""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Batch"]


class Batch:
    """Does ``work(index)`` for each index, so many at once.

    Where it is interrupted, nothing more is begun and what is under way is waited for; a second interrupt gives up
    waiting, and leaves it to end by itself.

    Args:
        count: How many indexes, from 0.
        most: The most that are worked on at once.
        work: What is to be done; what it raises interrupts the batch.
    """

    def __init__(self, count: int, most: int, work: Callable[[int], object]) -> None:
        self._count = count
        self._work = work
        self._waiting = deque(range(count))
        self._ended: SimpleQueue[BaseException | None] = SimpleQueue()
        self._threads = [
            threading.Thread(
                target=contextvars.copy_context().run,
                args=(self._labour,),
                name=f"stable-openai-send-{number}",
                daemon=True,
            )
            for number in range(1, min(most, count) + 1)
        ]

    def run(self, tell: Callable[[int], object], *, leave_out: Callable[[int], object]) -> None:
        """Do the work.

        Args:
            tell: Called in this thread, as one ends after the other, with how many have ended.
            leave_out: Called after an interrupt with how many were never begun.
        """
        started = []
        try:
            for thread in self._threads:
                thread.start()
                started.append(thread)
            for done in range(1, self._count + 1):
                failure = self._ended.get()
                if failure is not None:
                    raise failure
                tell(done)
        except BaseException:
            leave_out(self._give_up())
            raise
        finally:
            for thread in started:
                thread.join()

    def _labour(self) -> None:
        while True:
            try:
                index = self._waiting.popleft()
            except IndexError:
                return
            failure: BaseException | None = None
            try:
                self._work(index)
            except BaseException as error:  # noqa: BLE001  # raised again where the batch is run
                failure = error
            self._ended.put(failure)

    def _give_up(self) -> int:
        left = 0
        while True:
            try:
                self._waiting.popleft()
            except IndexError:
                return left
            left += 1
