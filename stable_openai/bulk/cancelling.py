"""Whether somebody has cancelled a task, or what it awaits was cancelled by itself: both raise the same in it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["begin_task", "is_cancelled"]


if sys.version_info >= (3, 11):

    def begin_task(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a task that can be asked."""
        return loop.create_task(coroutine)

    def is_cancelled() -> bool:
        """Whether somebody has cancelled the present task, which ``begin_task`` has begun."""
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
else:

    class _Telling(asyncio.Task):  # type: ignore[type-arg]  # not at run time
        """A task that notes it, as each does from Python 3.11 on."""

        was_cancelled = False

        def cancel(self, msg: Any | None = None) -> bool:
            self.was_cancelled = True
            return super().cancel(msg)

    def begin_task(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a task that can be asked."""
        return _Telling(coroutine, loop=loop)

    def is_cancelled() -> bool:
        """Whether somebody has cancelled the present task, which ``begin_task`` has begun."""
        task = asyncio.current_task()
        return isinstance(task, _Telling) and task.was_cancelled
