"""Ctrl-C while something runs: it ends that, and not the program."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

__all__ = ["deaf", "unless_interrupted"]


@contextlib.contextmanager
def _on_interrupt(act: Callable[[], object]) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, lambda *_: act() and None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


def deaf() -> contextlib.AbstractContextManager[None]:
    """Within this block, an interrupt that nobody waits for does nothing."""
    return _on_interrupt(lambda: None)


async def unless_interrupted(work: Coroutine[Any, Any, None]) -> bool:
    """Do the work, but for an interrupt: that cancels it at the next point where it waits.

    Returns:
        Whether it was done; False where it was interrupted.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        loop.call_soon_threadsafe(task.cancel)

    with _on_interrupt(interrupt):
        try:
            await task
        except asyncio.CancelledError:
            if not (interrupted and task.done()):
                raise  # somebody else's
            return False
        except Exception:
            if interrupted:
                return False  # what broke as it was cancelled
            raise
    return True
