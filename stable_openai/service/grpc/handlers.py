"""What each method does: bytes in, bytes out, and a status for everything that may go wrong."""

from __future__ import annotations

import contextlib
import logging
import traceback
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import DecodeError

from stable_openai.service.errors import InvalidArgument, ServiceError
from stable_openai.service.texts import clean

from .messages import CHATBOT, STREAMING, message_class

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stable_openai.service.callers import Callers
    from stable_openai.service.sessions import Sessions

__all__ = ["Handlers"]

_logger: Final = logging.getLogger("stable_openai.service.grpc")
_NEW: Final = message_class("muvtuber.chatbot.v2.NewSessionRequest")
_NEW_DONE: Final = message_class("muvtuber.chatbot.v2.NewSessionResponse")
_CHAT: Final = message_class("muvtuber.chatbot.v2.ChatRequest")
_CHAT_DONE: Final = message_class("muvtuber.chatbot.v2.ChatResponse")
_DELETE: Final = message_class("muvtuber.chatbot.v2.DeleteSessionRequest")
_DELETE_DONE: Final = message_class("muvtuber.chatbot.v2.DeleteSessionResponse")
_STREAM: Final = message_class("stable_openai.chat.v1.ChatRequest")
_PIECE: Final = message_class("stable_openai.chat.v1.ChatPiece")


class Handlers:
    """The methods of both services.

    Args:
        sessions: The sessions.
        callers: Who may ask.
    """

    def __init__(self, sessions: Sessions, callers: Callers) -> None:
        self._sessions = sessions
        self._callers = callers

    def generic(self) -> list[grpc.GenericRpcHandler]:
        """What a server is given. Messages are parsed by the methods: a bad one is the caller's fault, and told so."""
        unary = {
            name: grpc.unary_unary_rpc_method_handler(self._answering(name, method))
            for name, method in (("NewSession", self._new), ("Chat", self._chat), ("DeleteSession", self._delete))
        }
        streaming = {"Chat": grpc.unary_stream_rpc_method_handler(self._answering("stream", self._stream))}
        return [
            grpc.method_handlers_generic_handler(CHATBOT, unary),
            grpc.method_handlers_generic_handler(STREAMING, streaming),
        ]

    def _answering(
        self, name: str, method: Callable[[bytes, Any, str], Awaitable[bytes | None]]
    ) -> Callable[[bytes, Any], Awaitable[bytes | None]]:
        async def answer(raw: bytes, context: Any) -> bytes | None:
            try:
                answered = await method(raw, context, self._callers.name_of(authorization_of(context)))
            except ServiceError as error:
                failure = error
            except Exception as error:  # noqa: BLE001  # a fault of ours is told to the log alone
                frames = "".join(traceback.format_tb(error.__traceback__)[-3:])
                _logger.error("%s failed: %s\n%s", name, type(error).__qualname__, frames)  # noqa: TRY400  # its text may hold a secret
                failure = ServiceError("internal error")
            else:
                _logger.debug("%s: OK", name)
                return answered
            _logger.info("%s: %s %s", name, failure.code, failure.name)
            await refuse(context, failure)
            return None

        return answer

    async def _new(self, raw: bytes, _: Any, caller: str) -> bytes:
        request = parse(_NEW, raw)
        async with self._callers.request(caller) as use:
            made = await self._sessions.new(request.config, request.initial_prompt, caller)
            use.note(made.initial_response, request.initial_prompt)
        return serialized(_NEW_DONE(session_id=made.session_id, initial_response=made.initial_response))

    async def _chat(self, raw: bytes, _: Any, caller: str) -> bytes:
        request = parse(_CHAT, raw)
        async with self._callers.request(caller) as use:
            reply = await self._sessions.ask(request.session_id, request.prompt, caller)
            use.note(reply, request.prompt)
        return serialized(_CHAT_DONE(response=clean(reply)))

    async def _delete(self, raw: bytes, _: Any, caller: str) -> bytes:
        request = parse(_DELETE, raw)
        self._sessions.delete(request.session_id, caller)
        return serialized(_DELETE_DONE(session_id=request.session_id))

    async def _stream(self, raw: bytes, context: Any, caller: str) -> None:
        request = parse(_STREAM, raw)
        said = ""
        async with self._callers.request(caller) as use:
            pieces = self._sessions.stream(request.session_id, request.prompt, caller)
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    await context.write(serialized(_PIECE(text=clean(piece))))
                    said += piece
            use.note(said, request.prompt)


def parse(kind: Any, raw: bytes) -> Any:
    """Read a message.

    Raises:
        InvalidArgument: It is none.
    """
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise InvalidArgument(f"the request is no {kind.DESCRIPTOR.full_name}") from None


def serialized(message: Any) -> bytes:
    """The bytes of a message."""
    made: bytes = message.SerializeToString()
    return made


def authorization_of(context: Any) -> bytes:
    """What stands in the metadata as ``authorization``."""
    for name, value in context.invocation_metadata() or ():
        if name == "authorization":
            return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    return b""


async def refuse(context: Any, failure: ServiceError) -> None:
    """End a call with the status of an error; ``retry-after`` says, in seconds, when it is worth trying again."""
    again = failure.retry_seconds
    trailing = () if again is None else (("retry-after", again),)
    await context.abort(grpc.StatusCode[failure.code], clean(failure.told), trailing)
