"""``GroupChat``: several roles in one conversation, played by a model over a pool of keys."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from stable_openai.conversation.clients import ChatClients, split_options, split_request_options
from stable_openai.conversation.replies import Partial, reply_of
from stable_openai.conversation.turns import Held, Turns
from stable_openai.errors import ConfigurationError

from .asking import Asking
from .dialogs import Dialog, Line
from .prompts import scene, schema

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from stable_openai.conversation.content import Message

__all__ = ["GroupChat"]

# Models from before structured outputs (OpenAI's guide: gpt-4o-2024-08-06 and later have them).
_WITHOUT_SCHEMA: Final = ("gpt-3.5", "gpt-35", "gpt-4-", "gpt-4o-2024-05-13", "chatgpt-4o", "o1-mini", "o1-preview")


class GroupChat:
    """Several roles in one conversation, played by a model.

    ``group.roles["Ann"] = "a sailor"`` tells of a role; ``request([("Ann", ["Bob"])])`` has the model speak for her.
    A request that fails leaves the conversation as it was.

    Args:
        api_key: One key, a list of keys, a ``KeyPool``, or None for the process-wide ``KeyManager``.
        model: The model.
        MsgMaxCount: The most dialogs to remember.
        options: Everything that ``openai.OpenAI`` and ``chat.completions.create`` take, as defaults for each request.

    Attributes:
        roles: The roles: names and descriptions, as a ``dict`` of this object's own.

    Raises:
        ConfigurationError: An option is wrong or unknown.
    """

    def __init__(
        self,
        api_key: Any = None,
        *,
        model: str | None = None,
        MsgMaxCount: int | None = None,  # noqa: N803  # as `Chat` has it
        **options: Any,
    ) -> None:
        self.roles: dict[str, str] = {}
        self._client_options, self._options = split_options(options)
        if "response_format" in self._options:
            raise ConfigurationError("response_format", "is the group's own business")
        if model is not None:
            self._options["model"] = model
        if MsgMaxCount is not None and MsgMaxCount < 1:
            raise ConfigurationError("MsgMaxCount", f"must be a whole number from 1 up, or None, not {MsgMaxCount!r}")
        self._most = MsgMaxCount
        self._dialogs: list[Dialog] = []
        self._unstructured: set[str] = set()  # models that have refused a schema
        self._turns = Turns()
        self._affinity = uuid.uuid4()
        self._clients = ChatClients(api_key, self._client_options, self._affinity)

    # -- the conversation

    def add_dialog(self, speaker: str, audiences: str | Iterable[str], remark: str) -> None:
        """Put a remark behind what was said.

        Raises:
            ConfigurationError: A name is no role, or nothing is said.
        """
        line = self._line((speaker, audiences), "dialog")
        if not remark or remark.isspace():
            raise ConfigurationError("remark", "must be a text that is not empty")
        with self._turns.turn():
            self._keep([Dialog(*line, remark)])

    @property
    def dialogs(self) -> list[Dialog]:
        """What was said, oldest first."""
        return list(self._dialogs)

    def request(self, plan: Iterable[tuple[str, str | Iterable[str]]], **options: Any) -> str:
        """Have roles speak.

        Args:
            plan: Who speaks to whom, in order: pairs of a speaker and those spoken to.
            options: What ``chat.completions.create`` and ``openai.OpenAI`` take, for this request.

        Returns:
            JSON: a list of objects with ``speaker``, ``audiences`` and ``remark``.

        Raises:
            ConfigurationError: A name is no role, or an option is unknown.
            MalformedAnswer: The model has answered something else, twice.
            openai.OpenAIError: The provider's last error, where no key could do better; or that no key was to be had.
        """
        lines, client, options = self._checked(plan, options)
        with self._turns.turn():
            asking = Asking(self, lines, options)
            while asking.is_open:
                try:
                    answer = reply_of(asking.create(self._clients.sync_with(client)))
                except Exception as error:  # noqa: BLE001  # raised again, unless it is about the schema
                    asking.failed(error)
                else:
                    asking.answered(answer)
            return self._finish(asking)

    async def async_request(self, plan: Iterable[tuple[str, str | Iterable[str]]], **options: Any) -> str:
        """The twin of ``request`` for tasks."""
        lines, client, options = self._checked(plan, options)
        async with self._turns.aturn():
            asking = Asking(self, lines, options)
            while asking.is_open:
                try:
                    answer = reply_of(await asking.create(self._clients.async_with(client)))
                except Exception as error:  # noqa: BLE001  # raised again, unless it is about the schema
                    asking.failed(error)
                else:
                    asking.answered(answer)
            return self._finish(asking)

    def stream_request(
        self, plan: Iterable[tuple[str, str | Iterable[str]]], **options: Any
    ) -> Generator[str, None, None]:
        """Have roles speak, and get the answer remark by remark: joined, the pieces are what ``request`` returns."""
        return self._stream(*self._checked(plan, options))

    def _stream(self, lines: list[Line], client: dict[str, Any], options: dict[str, Any]) -> Generator[str, None, None]:
        with self._turns.turn():
            asking = Asking(self, lines, options)
            while asking.is_open:
                partial = Partial()
                try:
                    with asking.create(self._clients.sync_with(client), stream=True) as chunks:
                        for chunk in chunks:
                            partial.add(chunk)
                            yield from asking.pieces(partial.text)
                    partial.check()
                except Exception as error:  # noqa: BLE001  # raised again, unless it is about the schema
                    asking.failed(error)
                else:
                    asking.answered(partial.text)
            yield from asking.rest()
            self._finish(asking)

    def async_stream_request(
        self, plan: Iterable[tuple[str, str | Iterable[str]]], **options: Any
    ) -> AsyncGenerator[str, None]:
        """The twin of ``stream_request`` for tasks."""
        held = Held()
        return held.by(self._astream(held, *self._checked(plan, options)))

    async def _astream(
        self, held: Held, lines: list[Line], client: dict[str, Any], options: dict[str, Any]
    ) -> AsyncGenerator[str, None]:
        async with self._turns.aturn(held):
            asking = Asking(self, lines, options)
            while asking.is_open:
                partial = Partial()
                try:
                    async with await asking.create(self._clients.async_with(client), stream=True) as chunks:
                        async for chunk in chunks:
                            partial.add(chunk)
                            for piece in asking.pieces(partial.text):
                                yield piece
                    partial.check()
                except Exception as error:  # noqa: BLE001  # raised again, unless it is about the schema
                    asking.failed(error)
                else:
                    asking.answered(partial.text)
            for piece in asking.rest():
                yield piece
            self._finish(asking)

    def reset_api_key(self, api_key: Any) -> None:
        """Go on with another key, list of keys or pool; what was said stays."""
        options = {name: value for name, value in self._client_options.items() if name != "pool"}
        self._clients = ChatClients(api_key, options, self._affinity)

    # -- within

    def _checked(
        self, plan: Iterable[Any], options: dict[str, Any]
    ) -> tuple[list[Line], dict[str, Any], dict[str, Any]]:
        """Who speaks to whom, the client's options and the request's own; what is wrong with them shows at once."""
        client, options = split_request_options(options)
        if "response_format" in options:
            raise ConfigurationError("response_format", "is the group's own business")
        if not {**self._options, **options}.get("model"):
            raise ConfigurationError("model", 'is not set: GroupChat(model="…"), or request(…, model="…")')
        lines = [self._line(entry, f"plan[{index}]") for index, entry in enumerate(plan)]
        if not lines:
            raise ConfigurationError("plan", "is empty: say who speaks to whom, as in [('Ann', ['Bob'])]")
        return lines, client, options

    def _line(self, entry: Any, where: str) -> Line:
        if not isinstance(entry, Sequence) or isinstance(entry, str) or len(entry) != len(Line._fields):
            raise ConfigurationError(where, "must be a speaker and a list of those spoken to, as in ('Ann', ['Bob'])")
        speaker, audiences = entry
        heard = (audiences,) if isinstance(audiences, str) else tuple(audiences)
        for name in (speaker, *heard):
            if name not in self.roles:
                known = ", ".join(self.roles) or "none so far"
                raise ConfigurationError(
                    where, f"{name!r} is no role; known are {known}: tell of it in roles[{name!r}]"
                )
        if not heard:
            raise ConfigurationError(where, f"does not say whom {speaker!r} speaks to")
        return Line(speaker, heard)

    def _finish(self, asking: Asking) -> str:
        self._keep(asking.dialogs)
        return json.dumps([dialog.as_json() for dialog in asking.dialogs], ensure_ascii=False, indent=4)

    def _keep(self, dialogs: list[Dialog]) -> None:
        kept = [*self._dialogs, *dialogs]
        self._dialogs = kept if self._most is None else kept[-self._most :]

    def scene_of(self, lines: Sequence[Line]) -> tuple[list[Message], Any]:
        """The messages that ask for these lines, and their words."""
        return scene(dict(self.roles), [(Line(*dialog[:2]), dialog.remark) for dialog in self._dialogs], lines)

    def options_of(self, options: dict[str, Any], lines: Sequence[Line]) -> dict[str, Any]:
        """The options of a request: with a schema, where the model has not refused one."""
        merged = {**self._options, **options}
        model = str(merged["model"])
        if model != "gpt-4" and not model.startswith(_WITHOUT_SCHEMA) and model not in self._unstructured:
            merged["response_format"] = schema(lines)
        return merged

    def do_without_schema(self, model: str) -> None:
        """Note that a model has refused a schema."""
        self._unstructured.add(model)

    def __repr__(self) -> str:
        return f"<GroupChat of {', '.join(self.roles) or 'nobody'}, {len(self._dialogs)} dialogs>"
