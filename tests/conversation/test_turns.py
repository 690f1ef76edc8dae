"""Taking turns: threads and tasks on one conversation, in order, one after the other; nobody waits for himself."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading

import pytest

from stable_openai.conversation import turns as turns_module
from stable_openai.conversation.turns import Turns


class Noticed(Turns):
    """Turns that tell when somebody stands in line."""

    def __init__(self):
        super().__init__()
        self.joined = threading.Semaphore(0)

    def _join(self, waiter):
        has_it = super()._join(waiter)
        self.joined.release()
        return has_it


@pytest.fixture
def turns():
    return Noticed()


@pytest.fixture
def threads():
    """Start threads, and see them end."""
    started = []

    def start(work):
        thread = threading.Thread(target=work)
        started.append(thread)
        thread.start()
        return thread

    def end():
        for thread in started:
            thread.join(20)
            assert not thread.is_alive()

    start.end = end
    yield start
    end()


def test_threads_come_in_order(turns, threads):
    """First come, first served; never two at once."""
    order, inside = [], []

    def work(number):
        with turns.turn():
            inside.append(number)
            order.append(number)
            assert inside == [number]
            inside.remove(number)

    with turns.turn():
        turns.joined.acquire()
        for number in range(5):
            threads(lambda number=number: work(number))
            turns.joined.acquire()
        assert order == []
    threads.end()
    assert order == [0, 1, 2, 3, 4]


async def test_tasks_come_in_order(turns):
    """The same for tasks."""
    order = []

    async def work(number):
        async with turns.aturn():
            order.append(number)
            await asyncio.sleep(0)
            assert order[-1] == number

    async with turns.aturn():
        tasks = [asyncio.create_task(work(number)) for number in range(5)]
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]
    assert not turns._line


async def test_threads_and_tasks_in_one_line(turns, threads):
    """A thread between two tasks, and tasks of two event loops."""
    order = []
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def task(name):
        async with turns.aturn():
            order.append(name)

    def thread():
        with turns.turn():
            order.append("thread")

    def other_loop():
        asyncio.run(task("elsewhere"))
        loop.call_soon_threadsafe(over.set)

    async with turns.aturn():
        turns.joined.acquire()
        before = asyncio.create_task(task("before"))
        await asyncio.sleep(0)
        turns.joined.acquire()
        for work in (thread, other_loop):
            threads(work)
            await asyncio.to_thread(turns.joined.acquire)
        after = asyncio.create_task(task("after"))
        await asyncio.sleep(0)
    await asyncio.gather(before, after, over.wait())
    assert order == ["before", "thread", "elsewhere", "after"]


@pytest.mark.parametrize("already", [False, True])
async def test_a_cancelled_waiter_leaves_no_trace(turns, already):
    """Cancelled while it waits, or in the very moment in which its turn has come: the next one has it."""
    order = []

    async def work(name):
        async with turns.aturn():
            order.append(name)

    await turns.atake()
    first, second = asyncio.create_task(work("first")), asyncio.create_task(work("second"))
    await asyncio.sleep(0)
    if already:
        turns.give()
        first.cancel()
    else:
        first.cancel()
        await asyncio.sleep(0)
        turns.give()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    assert order == ["second"]
    assert not turns._line


def test_an_interrupted_waiter_leaves_no_trace(turns, threads, monkeypatch):
    """Ctrl-C in a thread that waits."""
    has_it, free = threading.Event(), threading.Event()

    def hold():
        with turns.turn():
            has_it.set()
            free.wait()

    thread = threads(hold)
    has_it.wait()

    class Interrupted(threading.Event):
        def wait(self, timeout=None):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(turns_module.threading, "Event", Interrupted)
        with pytest.raises(KeyboardInterrupt), turns.turn():
            pytest.fail("it was somebody else's turn")
    assert len(turns._line) == 1
    free.set()
    thread.join()
    with turns.turn():
        assert len(turns._line) == 1


def test_a_loop_that_was_closed(turns):
    """A task whose event loop ended while it stood in line is passed over."""
    loop = asyncio.new_event_loop()
    turns.take()
    waiting = turns.atake()
    task = loop.create_task(waiting)
    loop.run_until_complete(asyncio.sleep(0))
    assert len(turns._line) == 2
    loop.close()
    turns.give()
    assert not turns._line
    with turns.turn():
        task._log_destroy_pending = False
        del task
        waiting.close()
        assert len(turns._line) == 1
    assert not turns._line
    gc.collect()


def test_nobody_waits_for_himself(turns):
    """A thread that has the turn is told so; another one is not taken for it."""
    with turns.turn():
        with pytest.raises(RuntimeError, match="exhaust or close it"):
            turns.take()
        assert len(turns._line) == 1


async def test_no_task_waits_for_itself(turns):
    """Sync and async alike, in a task."""
    async with turns.aturn():
        with pytest.raises(RuntimeError, match="exhaust or close it"):
            await turns.atake()
        with pytest.raises(RuntimeError, match="exhaust or close it"):
            turns.take()
    with turns.turn(), pytest.raises(RuntimeError, match="exhaust or close it"):
        await turns.atake()
    assert not turns._line


async def test_a_loop_is_not_blocked(turns):
    """A sync call in a running event loop, while a task has the turn: it would never come."""
    async with turns.aturn():

        async def other():
            turns.take()

        with pytest.raises(RuntimeError, match="await it before you go on"):
            await asyncio.create_task(other())
        assert len(turns._line) == 1
    turns.take()  # free: then it may
    turns.give()


def test_the_collector_may_give_a_turn(turns):
    """In the middle of a change, in the same thread: it does not wait for itself."""
    turns.take()
    with turns._changing:
        turns.give()
    assert not turns._line


# -- in a conversation


def test_rounds_never_interleave(talk, threads):
    """Threads and tasks ask one chat: each question stands before its answer."""
    here = talk()
    chat = here.chat()
    begin = threading.Barrier(6)

    def by_request(name):
        begin.wait()
        for number in range(3):
            chat.request(f"{name} {number}")

    def by_stream(name):
        begin.wait()
        for number in range(3):
            assert "".join(chat.stream_request(f"{name} {number}")) == f"You said: {name} {number}"

    async def tasks(name):
        async def stream():
            return [piece async for piece in chat.async_stream_request(f"{name} stream")]

        await asyncio.gather(chat.async_request(f"{name} request"), stream(), chat.async_request(f"{name} again"))

    def by_tasks(name):
        begin.wait()
        asyncio.run(tasks(name))

    for index, work in enumerate((by_request, by_stream, by_tasks) * 2):
        threads(lambda work=work, index=index: work(f"thread {index}"))
    threads.end()
    messages = chat.fetch_messages()
    assert len(messages) == 6 * 3 * 2
    for question, answer in zip(messages[::2], messages[1::2], strict=True):
        assert (question["role"], answer["role"]) == ("user", "assistant")
        assert answer["content"] == f"You said: {question['content']}"
    assert len({message["content"] for message in messages}) == len(messages)
    seen = [[message["content"] for message in payload["messages"]] for payload in here.asked]
    assert seen == [[message["content"] for message in messages[: 2 * at + 1]] for at in range(len(messages) // 2)]


def test_a_stream_holds_the_turn(talk, threads):
    """Another thread waits until the stream is over; what this thread does meanwhile is refused, as it would wait for itself."""
    chat = talk(script=lambda request: "one two three").chat()
    chat._turns = Noticed()
    stream = chat.stream_request("count")
    assert next(stream) == "one "
    other = threads(lambda: chat.request("next"))
    chat._turns.joined.acquire()
    chat._turns.joined.acquire()
    for refused in (lambda: chat.request("now"), chat.rollback, chat.clear, lambda: chat.add_dialogs({"role": "user", "content": "x"}), lambda: next(chat.stream_request("now")), lambda: chat.pin(0)):  # fmt: skip
        with pytest.raises(RuntimeError, match="exhaust or close it"):
            refused()
    assert len(chat) == 0
    assert list(stream) == ["two ", "three"]
    other.join()
    assert [message["content"] for message in chat.fetch_messages()][::2] == ["count", "next"]


async def test_a_task_and_its_stream(talk):
    """In a task: a request, sync or async, in the middle of its own stream is refused; one of another task waits."""
    chat = talk(script=lambda request: "one two three").chat()
    stream = chat.async_stream_request("count")
    assert await anext(stream) == "one "
    with pytest.raises(RuntimeError, match="exhaust or close it"):
        await chat.async_request("now")
    with pytest.raises(RuntimeError, match="exhaust or close it"):
        chat.request("now")
    other = asyncio.create_task(chat.async_request("next"))
    await asyncio.sleep(0)
    assert [piece async for piece in stream] == ["two ", "three"]
    assert await other == "one two three"
    assert [message["content"] for message in chat.fetch_messages()][::2] == ["count", "next"]


def test_a_stream_that_another_thread_ends(talk, threads):
    """Begun here, read to its end there: the turn is free for both."""
    chat = talk(script=lambda request: "one two").chat()
    stream = chat.stream_request("count")
    next(stream)
    threads(lambda: list(stream)).join()
    assert chat.request("again") == "one two"
    with contextlib.closing(chat.stream_request("left")) as left:
        next(left)
    assert len(chat) == 4
