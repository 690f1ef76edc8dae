"""What ``chat`` and ``newchat`` do: open the keys and the conversation, and talk."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from stable_openai.cli.complaints import complaints
from stable_openai.cli.places import home
from stable_openai.cli.private_files import Busy, locked

from .options import default_model

if TYPE_CHECKING:
    from pathlib import Path

    from stable_openai.pool.pool import KeyPool

    from .kept import KeptChat

__all__ = ["start"]

_LARGEST: Final = 16 << 20  # bytes of a question from the input: more than any model takes


def start(
    *,
    anew: bool,
    keep: bool,
    question: tuple[str, ...],
    file: Path | None,
    **settings: str | None,
) -> None:
    """Talk.

    Args:
        anew: Whether to clear the last conversation.
        keep: Whether to go on with it, and to keep this one.
        question: The words on the command line.
        file: A file of keys, or None.
        settings: ``model``, ``system`` (an empty text for none) and ``base_url``; None leaves one as it is.
    """
    from stable_openai.cli.opening import open_pool

    talks = not question and sys.stdin.isatty() and sys.stdout.isatty()
    with complaints():
        pool, source = open_pool(file)
    asked = None if talks else _asked(question)
    secrets = [str.__str__(key.secret) for key in pool.keys]
    with complaints(secrets), contextlib.ExitStack() as held:
        if keep:
            held.enter_context(_only_one())
        chat = _open(pool, anew=anew, keep=keep, **settings)
        if asked is None:
            _talk(chat, pool, source, keep=keep)
        else:
            from .once import answer_once

            answer_once(chat, asked, secrets)


@contextlib.contextmanager
def _only_one() -> Any:
    """The lock of the conversation: of two programs that write it, each would lose what the other has."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(home() / "conversation.lock", wait=False))
        except Busy:
            raise click.ClickException(
                "the conversation is open in another terminal: close it there, or use chat --no-history"
            ) from None
        yield


def _open(
    pool: KeyPool, *, anew: bool, keep: bool, model: str | None, system: str | None, base_url: str | None
) -> KeptChat:
    from stable_openai.errors import ConfigurationError

    from .kept import KeptChat

    endpoint: dict[str, Any] = {} if base_url is None else {"base_url": base_url}
    path = home() / "conversation.json" if keep else None
    chat = KeptChat(path, pool, model=model or default_model(), **endpoint)
    if not anew:
        try:
            chat.resume(model=model is None)
        except (ConfigurationError, OSError, ValueError) as error:
            raise click.ClickException(
                f"the last conversation can't be read ({error}); newchat begins a new one in its place"
            ) from None
    if system is not None:
        chat.system = system or None
    if anew:
        chat.keep()
    return chat


def _asked(words: tuple[str, ...]) -> str:
    """The question: the words, with the input in the place of a ``-``; or the input alone."""
    if words.count("-") > 1:
        raise click.UsageError("the input can stand in one place of the question only")
    text = " ".join(f"\n\n{_input()}\n\n" if word == "-" else word for word in words) if words else _input()
    if not text.strip():
        raise click.UsageError("nothing was asked: there is neither a question on the line nor one on the input")
    return text.strip("\n")


def _input() -> str:
    data = sys.stdin.buffer.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise click.UsageError(f"the input is larger than {_LARGEST >> 20} MB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"the input is no UTF-8 text (at byte {error.start})") from None


def _talk(chat: KeptChat, pool: KeyPool, source: str, *, keep: bool) -> None:
    import asyncio

    from .terminal import Terminal

    asyncio.run(Terminal(chat, pool, source, home() / "lines" if keep else None).run())
