"""`Simulator`: a provider on a loopback port, in a thread of its own, in a running loop, or until a signal comes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from stable_openai.simulator.checks import check_number
from stable_openai.simulator.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from typing_extensions import Self

    from stable_openai.simulator.server import Server
    from stable_openai.simulator.settings import SimKey, SimOwner
    from stable_openai.simulator.stats import Stats

HIGHEST_PORT = 65_535


class Simulator:
    """A provider on a loopback port, for as long as its `with` block lasts.

    `with` runs it in a thread of its own; `async with` runs it in the loop that runs; `serve_forever` runs it in this
    thread until SIGINT, SIGTERM or `stop`. It can be started again, and then remembers what it counted.

    Args:
        keys: Its keys, or bare secrets of keys without limits.
        owners: Its owners, or bare names.
        port: Port to listen on; 0 for a free one.
        clock: Gives seconds; only differences matter.
        settings: Fields of `Settings`, such as `minute`, `algorithm` or `server_error_rate`.

    Example:
        ```python
        with Simulator(keys=[SimKey("sk-sim-a", rpm=60)], minute=2.0) as sim:
            client = openai.OpenAI(api_key=sim.keys[0], base_url=sim.base_url)
        ```
    """

    def __init__(
        self,
        keys: Iterable[SimKey | str] = (),
        owners: Iterable[SimOwner | str] = (),
        *,
        port: int = 0,
        clock: Callable[[], float] = time.monotonic,
        **settings: Any,
    ) -> None:
        check_number(port, "port", at_most=HIGHEST_PORT)
        self.provider = Provider(keys, owners, **settings)
        self._asked_port = port
        self._port: int | None = None
        self._ticks = clock
        self._started = clock()
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    def __repr__(self) -> str:
        where = "stopped" if self._port is None else self.base_url
        return f"<Simulator {where}: {self.provider!r}>"

    # -- where it is and what it saw

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._port is None:
            raise RuntimeError("the simulator is not running; enter it with `with` or `async with` first")
        return self._port

    @property
    def url(self) -> str:
        """Its root, such as `http://127.0.0.1:4711`; Azure clients take it as their endpoint."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What OpenAI clients take as `base_url`."""
        return f"{self.url}/v1"

    @property
    def keys(self) -> list[str]:
        """The secrets of its keys, in order."""
        return [key.secret for key in self.provider.keys]

    def now(self) -> float:
        """Tell the seconds since it was made, as its arrivals are timed."""
        return self._ticks() - self._started

    def stats(self) -> Stats:
        """Give a snapshot of what it saw so far."""
        return self.provider.stats()

    # -- in a thread

    def start(self) -> Self:
        """Start it in a thread of its own; returns when it listens."""
        self._refuse_twice()
        ready: Future[None] = Future()
        thread = threading.Thread(target=self._run, args=(ready,), name="stable-openai-simulator", daemon=True)
        self._thread = thread
        thread.start()
        try:
            ready.result()
        except BaseException:
            thread.join()
            self._thread = None
            raise
        return self

    def _run(self, ready: Future[None]) -> None:
        try:
            asyncio.run(self._serve(lambda: ready.set_result(None)))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    def stop(self) -> None:
        """Stop it, from any thread; again, does nothing. Connections are cut off."""
        loop, stopping = self._loop, self._stopping
        if loop is not None and stopping is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(stopping.set)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- in the loop that runs

    async def __aenter__(self) -> Self:
        self._refuse_twice()
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    # -- in this thread

    def serve_forever(self, on_ready: Callable[[], object] | None = None) -> None:
        """Run it in this thread until SIGINT, SIGTERM or `stop`.

        Args:
            on_ready: Called when it listens.
        """
        self._refuse_twice()
        with contextlib.suppress(KeyboardInterrupt):  # where the loop takes no signal handlers
            asyncio.run(self._serve(on_ready or (lambda: None), signals=True))

    async def _serve(self, on_ready: Callable[[], object], *, signals: bool = False) -> None:
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        caught = [each for each in (signal.SIGINT, signal.SIGTERM) if signals and catches(loop, each, stopping.set)]
        await self._listen()
        self._loop, self._stopping = loop, stopping
        try:
            on_ready()
            await stopping.wait()
        finally:
            self._loop = self._stopping = None
            for each in caught:
                loop.remove_signal_handler(each)
            await self._close()

    def _refuse_twice(self) -> None:
        if self._port is not None or self._thread is not None:
            raise RuntimeError("the simulator is running already")

    async def _listen(self) -> None:
        try:
            from stable_openai.simulator.server import Server
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "the simulator needs aiohttp: pip install 'stable-openai[cli]'", name=error.name
            ) from error
        server = Server(self.provider, self._asked_port, self.now)
        self._port = await server.start()
        self._server = server

    async def _close(self) -> None:
        server, self._server, self._port = self._server, None, None
        if server is not None:
            await server.stop()


def catches(loop: asyncio.AbstractEventLoop, number: signal.Signals, act: Callable[[], object]) -> bool:
    """Have a signal call `act`, and tell whether the loop and the thread allow it."""
    try:
        loop.add_signal_handler(number, act)
    except (NotImplementedError, RuntimeError, ValueError):
        return False
    return True


def run_forever(
    keys: Iterable[SimKey | str] = (),
    owners: Iterable[SimOwner | str] = (),
    *,
    on_ready: Callable[[Simulator], object] | None = None,
    **settings: Any,
) -> Stats:
    """Run a simulator in this thread until SIGINT or SIGTERM, and give what it saw.

    Args:
        keys: Its keys.
        owners: Its owners.
        on_ready: Called with the simulator when it listens.
        settings: What `Simulator` takes beside.
    """
    simulator = Simulator(keys, owners, **settings)
    simulator.serve_forever(None if on_ready is None else lambda: on_ready(simulator))
    return simulator.stats()
