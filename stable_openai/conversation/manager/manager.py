"""``ChatManager``: messages to a model, one or many at once, over several keys, kept in sessions."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, overload

from stable_openai.conversation.archive import write_text
from stable_openai.errors import ConfigurationError
from stable_openai.masking import hide

from .asking import Asker
from .batches import Batch
from .exports import export, format_of
from .keys import ManagerKeys
from .messages import ChatMessage
from .progress import progress_of
from .sending import Sending
from .sessions import Session
from .setup import ChatSetup, check_count

if TYPE_CHECKING:
    import os

    from stable_openai.keys import Key
    from stable_openai.pool.pool import KeyPool

    from .exports import Processor
    from .progress import Listener
    from .responses import ChatResponse

__all__ = ["ChatManager"]


class ChatManager:
    """Sends messages to a model over several keys, many at once, and keeps what was said in sessions.

    Each message is a request of its own: it goes out under the key that the strategy chooses, and on to the next one
    where that fails. Safe in threads.

    Args:
        api_key: A key, a list of keys or a ``KeyPool``; None: those of ``add_key``, or the process-wide ``KeyManager``
            where none is ever added.
        settings: Settings of this manager alone, by the names that ``ChatSetup`` has for them.

    Attributes:
        keys: Its keys.
        setup: Its settings; those not set here are ``ChatSetup``'s.
        response_errors: Why the ``send`` that ended last has no answer to a message, by the message's index in the list
            (0 where it was but one).

    Raises:
        ConfigurationError: A key or a setting is wrong.
    """

    def __init__(
        self, api_key: KeyPool | str | Key | Iterable[str | Key | Mapping[str, Any]] | None = None, **settings: Any
    ) -> None:
        api_key = hide(api_key)
        self.setup = ChatSetup(**settings)
        self.keys = ManagerKeys(api_key)
        self.response_errors: dict[int, Exception] = {}
        self._sessions: dict[str, Session] = {}
        self._session: Session | None = None
        self._changing = threading.Lock()

    # -- keys

    def add_key(self, name: str, key: str, **fields: Any) -> None:
        """Add a key under a name; ``fields`` are ``owner``, ``base_url``, ``models``, ``limits``, ``weight``.

        Raises:
            ConfigurationError: The name or the secret is bad, or there already.
        """
        self.keys.add_key(name, hide(key), **fields)

    # -- sessions

    def set_session(self, name: str) -> Session:
        """Keep what is sent from now on in the session of this name, which is made where there is none.

        Raises:
            ConfigurationError: The name is no text.
        """
        name = _checked_name(name)
        with self._changing:
            self._session = self._sessions.setdefault(name, Session(name))
            return self._session

    def get_session(self, name: str | None = None) -> Session:
        """A session, with its ``pairs`` of ``ChatMessage`` and ``ChatResponse``.

        Args:
            name: Its name; None: the one that is set.

        Raises:
            ConfigurationError: There is none of this name, or none is set.
        """
        if name is None:
            if self._session is None:
                raise ConfigurationError("session", 'is not set: call cm.set_session("session1") first')
            return self._session
        found = self._sessions.get(_checked_name(name))
        if found is None:
            known = ", ".join(map(repr, self._sessions)) or "none yet"
            raise ConfigurationError("session", f"there is none of the name {name!r}; there are: {known}")
        return found

    def drop_session(self, name: str) -> Session:
        """Forget a session, and return it. Where it was the one that is set, none is set then.

        Raises:
            ConfigurationError: There is none of this name.
        """
        with self._changing:
            dropped = self.get_session(name)
            del self._sessions[dropped.name]
            if self._session is dropped:
                self._session = None
            return dropped

    @property
    def sessions(self) -> list[Session]:
        """All sessions, in the order in which they were first set."""
        return list(self._sessions.values())

    # -- sending

    @overload
    def send(
        self,
        msg: ChatMessage,
        thread_num: int | None = None,
        *,
        progress: bool | Listener | None = None,
        **options: Any,
    ) -> ChatResponse | None: ...

    @overload
    def send(
        self,
        msg: Iterable[ChatMessage],
        thread_num: int | None = None,
        *,
        progress: bool | Listener | None = None,
        **options: Any,
    ) -> list[ChatResponse | None]: ...

    def send(
        self,
        msg: ChatMessage | Iterable[ChatMessage],
        thread_num: int | None = None,
        *,
        progress: bool | Listener | None = None,
        **options: Any,
    ) -> ChatResponse | list[ChatResponse | None] | None:
        """Send a message, or a list of them at once, and wait for what is answered.

        Each is sent as it is now. An answer is kept in the session that is set now, at the message's place, as soon as
        it comes. Where there is none (the provider's error, no key in time, an empty message), None stands in its
        place, the exception is in ``response_errors``, and the log has a line.

        Ctrl-C begins no further message of a list, and waits for those that are under way; pressed again, it leaves
        them. What is raised then has the answers so far as its ``partial_responses``; the session has them as well.

        Args:
            msg: A message, or any number of them.
            thread_num: The most that are under way at once; None: ``ChatSetup.thread_num``.
            progress: For a list, whether it has a progress bar, where ``rich`` is installed and stderr is a terminal;
                or what is called with (ended, total) each time; None: ``ChatSetup.progress``.
            options: What ``chat.completions.create`` takes, for these messages: ``model``, ``temperature`` and so on.

        Returns:
            The answer, or None; for a list, the list of these in the same order.

        Raises:
            ConfigurationError: No session is set, it is full, there are no keys, or an argument is wrong; nothing is
                sent then.
        """
        messages = [msg.copy()] if isinstance(msg, ChatMessage) else _copies(msg)
        most = check_count("thread_num", self.setup.thread_num if thread_num is None else thread_num)
        progress = self.setup.progress if progress is None else progress
        if not isinstance(progress, bool) and not callable(progress):
            raise ConfigurationError("progress", "must be True, False, or what is called with (ended, total)")
        session = self.get_session()
        asker = Asker(self.keys.pool, self.setup, options)
        booking = session.book(len(messages), self.setup.max_pairs)
        sending = Sending(asker, messages, booking)
        try:
            if isinstance(msg, ChatMessage):
                sending.answer(0)
            else:
                with progress_of(progress, len(messages)) as tell:
                    batch = Batch(len(messages), most, sending.answer)
                    batch.run(lambda done: tell(done, len(sending.errors)), leave_out=booking.release)
        except BaseException as error:
            error.partial_responses = list(sending.responses)  # type: ignore[attr-defined]  # any error may carry more
            raise
        finally:
            self.response_errors = dict(sorted(sending.errors.items()))
        return sending.responses[0] if isinstance(msg, ChatMessage) else sending.responses

    # -- exporting

    def export_session(
        self,
        name: str | None = None,
        processor: Processor | None = None,
        *,
        format: str | None = None,  # noqa: A002  # what it is called
        path: str | os.PathLike[str] | None = None,
    ) -> str:
        """Write a session as text, and to a file where one is named (written beside and renamed).

        ``"json"`` has all that is known of each pair; ``"markdown"`` is for reading; ``"jsonl"`` is what OpenAI takes
        for fine-tuning, a line for each pair (answers that were cut off, filtered or refused are left out).

        Args:
            name: The session; None: the one that is set.
            processor: Makes the entry of a pair: called with its ``ChatMessage`` and its ``ChatResponse``, it returns
                what JSON can hold (text for Markdown).
            format: ``"json"``, ``"markdown"`` or ``"jsonl"``; None: what the file's name ends in says, else JSON.
            path: The file. It is UTF-8.

        Returns:
            The text. JSON is pure ASCII, so that it can be written in any encoding; in the file, it is not escaped.

        Raises:
            ConfigurationError: There is no such session or format, or the processor returned what can't be written.
            OSError: The file can't be written; one that was there stays as it was.
        """
        session = self.get_session(name)
        form = format_of(format, path)
        pairs = session.pairs
        if path is not None:
            write_text(path, export(session.name, pairs, form, processor, ascii_only=False))
        return export(session.name, pairs, form, processor, ascii_only=True)

    def __repr__(self) -> str:
        session = "no session" if self._session is None else repr(self._session.name)
        return f"<ChatManager with {self.setup.model}, {session}, {len(self.keys)} keys>"


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        shown = f"a {type(name).__name__}" if not isinstance(name, str) else "an empty text"
        raise ConfigurationError("name", f'must be the name of a session, such as "session1", not {shown}')
    return name


def _copies(messages: Iterable[ChatMessage]) -> list[ChatMessage]:
    """The messages of a list as they are now.

    Raises:
        ConfigurationError: It is no list of messages.
    """
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Iterable):
        raise ConfigurationError("msg", f"must be a ChatMessage or a list of them, not {type(messages).__name__}")
    copies = []
    for index, message in enumerate(messages):
        if not isinstance(message, ChatMessage):
            raise ConfigurationError(
                f"msg[{index}]",
                f"must be a ChatMessage, not {type(message).__name__}: ChatMessage.from_list([…]) makes one",
            )
        copies.append(message.copy())
    return copies
