"""The journal in Redis, or Valkey: one script call per step, and the server's clock.

All keys of a pool are in one hash slot::

    stable_openai:{<namespace>}:pool      hash     identity, format, seq (of the last entry in the snapshot), base
    stable_openai:{<namespace>}:log       list     "<seconds>.<microseconds> <text>" per entry; the first is base + 1
    stable_openai:{<namespace>}:snapshot  string
    stable_openai:{<namespace>}:wake      channel  says that it is worth looking

Moments travel as text and are read from it by all alike, so that each process has the identical number.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from stable_openai.errors import StoreError
from stable_openai.stores.shared.journal import Appended, Entry, Opened, Outdated

from .exchange import Exchange
from .links import link_to
from .listener import Listener
from .scripts import Script
from .urls import check_redis_url, read_redis_url, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["RedisJournal", "check_redis_url", "shown"]

_FORMAT: Final = 1


class RedisJournal:
    """A journal in Redis or Valkey: one server, a cluster, or what sentinels watch.

    Nothing is imported or opened before it is used.

    Args:
        url: The address, as ``urls`` describes it.
        timeout: Seconds that connecting may take, and seconds that an answer may take.
        time: Where given, the moments of entries are taken from it rather than from the server's clock.

    Raises:
        ConfigurationError: The address is wrong.
    """

    def __init__(self, url: str, *, timeout: float = 2.0, time: Callable[[], float] | None = None) -> None:
        self._address = read_redis_url(url)
        self._timeout = timeout
        self._time = time
        prefix = f"stable_openai:{{{self._address.namespace}}}:"
        keys = [f"{prefix}pool", f"{prefix}log", f"{prefix}snapshot"]
        self._append = Script("append", keys[:2])
        self._begin, self._open, self._save = (Script(name, keys) for name in ("begin", "open", "save"))
        self._channel = f"{prefix}wake"
        self._last: Entry | None
        self._element: bytes  # what the log has for it
        self._start_afresh()

    def _start_afresh(self) -> None:
        link = link_to(self._address, self._timeout)
        self._exchange = Exchange(link, self._address.namespace, self._timeout)
        self._listener: Listener | None = None
        self._remember(None)
        self._own = secrets.token_hex(8).encode()
        self._wake = b"%b %b" % (self._channel.encode(), self._own)

    def open(self) -> Opened | None:
        """Connect where that is not done, and read everything; None where there is no journal yet."""
        written, identity, seq, base, snapshot, elements = self._exchange.call(self._open, ())
        if identity is None:
            return None
        try:
            known, seq, base = int(written), int(seq), int(base)
            if known == _FORMAT:
                entries = [_read(base + index, element) for index, element in enumerate(elements, 1)]
        except (TypeError, ValueError):
            raise StoreError(f"{self._address.shown}: the journal is damaged, or not one of ours") from None
        if known != _FORMAT:
            raise StoreError(
                f"{self._address.shown}: the journal is of format {known}, which a newer stable_openai has written; "
                f"this one reads format {_FORMAT}"
            )
        if snapshot is None or (seq and not entries):
            return None  # a server that evicts keys has left a part of it; ``begin`` replaces that
        self._remember(entries[-1] if entries else None)
        return Opened(identity.decode(), seq, snapshot, entries)

    def begin(self, identity: str, snapshot: bytes) -> None:
        """Begin a journal with this snapshot, unless there is one by now (another process was first)."""
        self._exchange.call(self._begin, (identity.encode(), b"%d" % _FORMAT, snapshot))

    def append(self, identity: str, last: Entry | None, texts: Sequence[str], *, wake: bool) -> Appended:
        """Add entries, and read those that came after ``last``, in one atomic step.

        Raises:
            Outdated: The journal is another one, or ``last`` is not in it. Nothing was added.
        """
        if self._last is not last and self._last != last:
            self._remember(last)
        seq = self._last.seq if self._last else 0
        news = [text.encode("utf-8", "surrogatepass") for text in texts]
        answer = self._exchange.call(
            self._append,
            (identity.encode(), b"%d" % seq, self._element, self._options(wake=wake), *news),
        )
        if answer is None:
            raise Outdated(f"{self._address.shown}: the journal is another one, or has lost what was known of it")
        missed: list[Entry] = []
        if answer.__class__ is list:
            missed = [_read(seq + index, answer[index]) for index in range(1, len(answer))]
            answer = answer[0]
        at = float(answer)
        first = seq + len(missed) + 1
        if news:
            self._last = Entry(first + len(news) - 1, at, texts[-1])
            self._element = answer + b" " + news[-1]
        elif missed:
            self._remember(missed[-1])
        return Appended(at, range(first, first + len(news)), missed)

    def _options(self, *, wake: bool) -> bytes:
        if wake or self._time:
            return b"%b %b" % (_moment(self._time()) if self._time else b"", self._wake if wake else b" ")
        return b""

    def _remember(self, last: Entry | None) -> None:
        self._last = last
        self._element = _moment(last.at) + b" " + last.text.encode("utf-8", "surrogatepass") if last else b""

    def save(self, identity: str, seq: int, snapshot: bytes) -> None:
        """Keep this snapshot of the entries up to ``seq``, and drop those before (the entry ``seq`` itself is kept).

        Does nothing where the journal is another one, or a later snapshot is there.
        """
        last = self._last
        if last is not None and seq <= last.seq:
            self._exchange.call(self._save, (identity.encode(), b"%d" % seq, snapshot, b"%d" % last.seq, self._element))

    def listen(self, callback: Callable[[], None]) -> None:
        """Call ``callback``, in a thread of the journal's own, whenever another process says ``wake``; idempotent.

        It is called once as well when the thread has begun to listen, and again after a connection was lost.
        """
        if self._listener is None and not self._exchange.is_closed:
            self._listener = Listener(
                link_to(self._address, self._timeout),
                callback,
                channel=self._channel,
                own=self._own,
                namespace=self._address.namespace,
                timeout=self._timeout,
            )

    def close(self) -> None:
        """Close all connections and end all threads of the journal; idempotent."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        self._exchange.close()

    def after_fork(self) -> None:
        """Forget the parent's connections and threads without touching them, and be as one that was never opened.

        redis-py's connections close their end in the child, and shut down nothing: they know who opened them.
        """
        self._start_afresh()

    def __repr__(self) -> str:
        return f"<RedisJournal {self._address.shown}>"


def _moment(at: float) -> bytes:
    return b"%017.6f" % at


def _read(seq: int, element: bytes) -> Entry:
    at, _, text = element.partition(b" ")
    return Entry(seq, float(at), text.decode("utf-8", "surrogatepass"))
