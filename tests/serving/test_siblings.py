"""What workers tell each other by way of their parent."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from stable_openai.serving import Exchange, Siblings

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="workers need POSIX")


class Worker:
    """One of them, and all that it has heard."""

    def __init__(self):
        self.siblings = Siblings()
        self.heard = asyncio.Queue()
        self.orphaned = asyncio.Event()
        for kind in ("a", "b"):
            self.siblings.hear(kind, lambda about, kind=kind: self.heard.put_nowait((kind, about)))


@pytest.fixture
async def join():
    """``await join(exchange)``: one more worker, and what its parent does with it."""
    async with contextlib.AsyncExitStack() as stack:

        async def join(exchange):
            worker = Worker()
            ours, theirs = socket.socketpair()
            worker.served = asyncio.ensure_future(exchange.serve(ours))
            stack.callback(worker.served.cancel)
            worker.link = contextlib.AsyncExitStack()
            await worker.link.enter_async_context(worker.siblings.connected(theirs, orphaned=worker.orphaned.set))
            stack.push_async_callback(worker.link.aclose)
            return worker

        yield join


async def test_all_others_hear(join):
    """In the order in which it was told; the one that tells does not hear itself."""
    exchange = Exchange()
    first, second, third = [await join(exchange) for _ in range(3)]
    first.siblings.tell("a", "1")
    first.siblings.tell("b", "line\nbreak and ümlaut")
    for other in (second, third):
        assert await other.heard.get() == ("a", "1")
        assert await other.heard.get() == ("b", "line\nbreak and ümlaut")
    second.siblings.tell("a", "2")
    assert await first.heard.get() == ("a", "2")
    assert first.heard.empty()


async def test_later_ones_hear_it_before_they_begin(join):
    """All that was told, once, as long as it matters."""
    exchange = Exchange()
    first, second = [await join(exchange) for _ in range(2)]
    first.siblings.tell("a", "over", lasts=0.0)
    for _ in range(2):
        first.siblings.tell("a", "for good")
    first.siblings.tell("b", "for long", lasts=1e6)
    for _ in range(4):
        await second.heard.get()
    later = await join(exchange)
    assert [later.heard.get_nowait() for _ in range(later.heard.qsize())] == [("a", "for good"), ("b", "for long")]


async def test_one_that_dies_disturbs_nobody(join):
    """The others go on telling each other."""
    exchange = Exchange()
    first, second, third = [await join(exchange) for _ in range(3)]
    await second.link.aclose()
    await second.served
    first.siblings.tell("a", "1")
    assert await third.heard.get() == ("a", "1")


async def test_the_parent_dies(join):
    """Its workers are told, and may still speak into the air."""
    worker = await join(Exchange())
    worker.served.cancel()
    await worker.orphaned.wait()
    worker.siblings.tell("a", "1")
