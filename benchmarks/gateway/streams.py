"""Streams whose every byte is known beforehand: how they are asked for, and what they are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Stream", "unchunked"]

DONE: Final = b"data: [DONE]\n\n"
_DIGITS: Final = 7


@dataclass(frozen=True)
class Stream:
    """A stream of server-sent events.

    Args:
        events: How many there are, but for the two that end it.
        size: The characters of content in each.
        seconds: In which they are sent, evenly; 0: as fast as they are taken.
    """

    events: int
    size: int
    seconds: float = 0.0

    def request(self) -> bytes:
        """The body that asks for it: its prompt says what is wanted."""
        wanted = json.dumps(asdict(self))
        return json.dumps({"model": "m", "messages": [{"role": "user", "content": wanted}], "stream": True}).encode()

    @classmethod
    def asked_for(cls, body: bytes) -> Stream | None:
        """What a body asks for; None: no stream."""
        if b'"stream"' not in body:
            return None
        asked = json.loads(body)
        return cls(**json.loads(asked["messages"][-1]["content"])) if asked["stream"] else None

    def texts(self) -> Iterator[str]:
        """The content of its events."""
        filling = "x" * (self.size - _DIGITS)
        return (f"{number:0{_DIGITS - 1}} {filling}" for number in range(self.events))

    def pieces(self) -> Iterator[bytes]:
        """Its events as they are sent."""
        for text in self.texts():
            yield _event(f'{{"content":"{text}"}}', "null")
        yield _event("{}", '"stop"')
        yield DONE

    def is_told_by(self, body: bytes) -> bool:
        """Whether events hold all of its content, in whatever words of their own."""
        if DONE.strip() not in body:
            return False
        events = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: {")]
        choices = [choice for event in events for choice in json.loads(event).get("choices", ())]
        return "".join(choice["delta"].get("content") or "" for choice in choices) == "".join(self.texts())


def _event(delta: str, finish: str) -> bytes:
    choice = f'{{"index":0,"delta":{delta},"finish_reason":{finish}}}'
    head = '{"id":"c","object":"chat.completion.chunk","created":1,"model":"m"'
    return f'data: {head},"choices":[{choice}]}}\n\n'.encode()


def unchunked(body: bytes) -> bytes:
    """A body without its chunks' lengths; what comes after the last whole chunk is left out."""
    parts, at = [], 0
    while (end := body.find(b"\r\n", at)) > 0 and (size := int(body[at:end].partition(b";")[0], 16)):
        at = end + 2 + size + 2
        if at > len(body):
            break
        parts.append(body[end + 2 : at - 2])
    return b"".join(parts)
