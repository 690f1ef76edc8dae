"""Several processes of the gateway at one address: the system shares connections out among them."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import socket
import sys
import tempfile
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import click

from stable_openai.errors import ConfigurationError
from stable_openai.serving.siblings import Exchange

from .renewing import on_hangup

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Workers", "is_worker", "socket_of_worker"]

_MARK: Final = "STABLE_OPENAI_WORKER"  # which descriptor leads to the parent
_METRICS: Final = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus_client lets the processes of one server meet
_YOUNG: Final = 5.0  # seconds: one that ends earlier has not begun well
_TRIES: Final = 3  # of those in a row, and all is given up


class Workers:
    """Starts workers, starts another one where one dies, and ends them all on a signal.

    They hear from each other through this process; where it dies, they end too.

    Args:
        count: How many.
        arguments: The command's own arguments, which each of them gets.

    Raises:
        ConfigurationError: This system can't have several processes listen at one address.
    """

    def __init__(self, count: int, arguments: Sequence[str]) -> None:
        if not hasattr(socket, "SO_REUSEPORT"):
            raise ConfigurationError("--workers", "can't be had here: this system has no SO_REUSEPORT")
        self._count = count
        self._command = [sys.executable, "-m", "stable_openai", *arguments]
        self._exchange = Exchange()
        self._running: set[Process] = set()
        self._stopping = False
        self._failures = 0
        self._metrics: Mapping[str, str] = {}

    def run(self) -> int:
        """Keep them running until a signal comes, and give the exit code."""
        with _meeting_place() as self._metrics:
            asyncio.run(self._run())
        return 1 if self._failures >= _TRIES else 0

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        with on_hangup(self._hang_up, self._stop):
            await asyncio.gather(*(self._keep_one() for _ in range(self._count)))

    async def _keep_one(self) -> None:
        """Keep one place filled."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            pid, code = await self._one()
            if self._stopping:
                return
            self._failures = self._failures + 1 if loop.time() - began < _YOUNG else 0
            if self._failures >= _TRIES:
                click.echo("the workers don't stay up: giving up", err=True)
                self._stop()
                return
            click.echo(f"worker {pid} has ended ({code}): starting another one", err=True)

    async def _one(self) -> tuple[int, int]:
        """Run a worker to its end: its number, and its exit code."""
        ours, theirs = socket.socketpair()
        with theirs:
            place = theirs.fileno()
            worker = await asyncio.create_subprocess_exec(
                *self._command,
                env={**os.environ, **self._metrics, _MARK: str(place)},
                pass_fds=[place],
                start_new_session=True,  # Ctrl-C is this process's matter
            )
        self._running.add(worker)
        if self._stopping:  # meanwhile
            _signal(worker, signal.SIGTERM)
        talking = asyncio.ensure_future(self._exchange.serve(ours))
        try:
            code = await worker.wait()
        finally:
            self._running.discard(worker)
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
        _forget_metrics(worker.pid, self._metrics)
        return worker.pid, code

    def _stop(self) -> None:
        again, self._stopping = self._stopping, True
        for worker in self._running:
            _signal(worker, signal.SIGKILL if again else signal.SIGTERM)

    def _hang_up(self) -> None:
        for worker in self._running:
            _signal(worker, signal.SIGHUP)


def is_worker() -> bool:
    """Whether this process is one of them."""
    return bool(os.environ.get(_MARK))


def socket_of_worker() -> socket.socket:
    """What leads a worker to its parent; to be asked for once."""
    sock = socket.socket(fileno=int(os.environ[_MARK]))
    os.set_inheritable(sock.fileno(), False)  # noqa: FBT003  # it is the only form
    return sock


def _signal(worker: Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        worker.send_signal(number)


@contextlib.contextmanager
def _meeting_place() -> Iterator[dict[str, str]]:
    """A folder in which the workers' metrics come together: the user's, else one for this run; as a variable."""
    if find_spec("prometheus_client") is None:
        yield {}
    elif os.environ.get(_METRICS):
        yield {_METRICS: os.environ[_METRICS]}
    else:
        with tempfile.TemporaryDirectory(prefix="stable-openai-metrics-") as folder:
            yield {_METRICS: folder}


def _forget_metrics(pid: int, place: Mapping[str, str]) -> None:
    """What runs in a worker runs no more; what it has counted stays."""
    if place:
        importlib.import_module("prometheus_client.multiprocess").mark_process_dead(pid, place[_METRICS])
