"""A way to a server that a test can make slow, or cut: a port of this machine that carries bytes to another."""

from __future__ import annotations

import contextlib
import socket
import threading

__all__ = ["Proxy"]


class Proxy:
    """Carries each connection to a port, and back.

    Args:
        port: That port.

    Attributes:
        delay: Seconds for which each piece is held back.
        cut_every: After so many pieces a connection is cut; 0 for never.
        lose_answers: How many of the next answers are lost, with their connections: the server has done what was asked.
        lost: Set when an answer was lost.
    """

    def __init__(self, port):
        self.delay = 0.0
        self.cut_every = 0
        self.lose_answers = 0
        self.lost = threading.Event()
        self._target = port
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._pieces = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._threads, self._sockets = [], []
        self._start(self._accept)

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def close(self):
        self._ended.set()
        _shut(self._listening)
        self.cut_all()
        for thread in self._threads:
            thread.join(20)
        for one in (self._listening, *self._sockets):
            one.close()

    def cut_all(self):
        """Cut all connections that there are."""
        for one in tuple(self._sockets):
            _shut(one)

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while not self._ended.is_set():
            try:
                client = self._listening.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [client, server]
            self._start(self._carry, client, server, False)
            self._start(self._carry, server, client, True)

    def _carry(self, source, target, is_answer):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.delay:
                    self._ended.wait(self.delay)
                if self._is_cut(is_answer, data):
                    break
                target.sendall(data)
        _shut(source)
        _shut(target)

    def _is_cut(self, is_answer, data):
        with self._lock:
            if is_answer and self.lose_answers:
                self.lose_answers -= 1
                self.lost.set()
                return True
            self._pieces += 1
            return bool(self.cut_every) and self._pieces % self.cut_every == 0

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()


def _shut(one):
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
