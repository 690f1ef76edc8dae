"""Good answers as server-sent events, and what can go wrong in the middle of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stable_openai.simulator.bodies import Answer, chat_usage, finish_reason, output_item, response_body
from stable_openai.simulator.messages import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stable_openai.simulator.messages import JSON, Request

MAX_PIECES = 64
"""Pieces that a text is sent in, at most."""

DONE = Event(None, "[DONE]")


def pieces(text: str) -> list[str]:
    """Cut a text into words with the blanks after them, joined where there are too many."""
    words = re.findall(r"\S+\s*|\s+", text) or [text]
    size = -(-len(words) // MAX_PIECES)
    return ["".join(words[i : i + size]) for i in range(0, len(words), size)]


def chat_events(request: Request, answer: Answer) -> list[Event]:
    """Give the chunks of a chat completion."""
    head: dict[str, JSON] = {
        "id": f"chatcmpl-{answer.id}",
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": request.model,
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }
    usage = {"usage": None} if request.include_usage else {}

    def chunk(index: int, delta: JSON, reason: str | None = None) -> Event:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        return Event(None, {**head, "choices": [choice], **usage})

    events: list[Event] = []
    for index in range(request.n):
        events.append(chunk(index, {"role": "assistant", "content": "", "refusal": None}))
        events += [chunk(index, {"content": piece}) for piece in pieces(answer.text)]
        events.append(chunk(index, {}, finish_reason(answer)))
    if request.include_usage:
        events.append(Event(None, {**head, "choices": [], "usage": chat_usage(answer)}))
    return [*events, DONE]


def completion_events(request: Request, answer: Answer) -> list[Event]:
    """Give the chunks of a completion of the older kind."""
    head: dict[str, JSON] = {
        "id": f"cmpl-{answer.id}",
        "object": "text_completion",
        "created": answer.created,
        "model": request.model,
    }

    def chunk(index: int, text: str, reason: str | None = None) -> Event:
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
        return Event(None, {**head, "choices": [choice]})

    events: list[Event] = []
    for index in range(request.n):
        events += [chunk(index, piece) for piece in pieces(answer.text)]
        events.append(chunk(index, "", finish_reason(answer)))
    if request.include_usage:
        events.append(Event(None, {**head, "choices": [], "usage": chat_usage(answer)}))
    return [*events, DONE]


def response_events(request: Request, answer: Answer) -> list[Event]:
    """Give the events of a response."""
    begun = response_body(request, answer, done=False)
    done = response_body(request, answer)
    item = output_item(answer)
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    steps: list[tuple[str, dict[str, JSON]]] = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
        ("response.output_item.added", {"output_index": 0, "item": output_item(answer, done=False)}),
        ("response.content_part.added", {**at, "part": empty}),
    ]
    steps += [("response.output_text.delta", {**at, "delta": piece, "logprobs": []}) for piece in pieces(answer.text)]
    steps += [
        ("response.output_text.done", {**at, "text": answer.text, "logprobs": []}),
        ("response.content_part.done", {**at, "part": item["content"][0]}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
        ("response.completed" if answer.whole else "response.incomplete", {"response": done}),
    ]
    return [Event(name, {"type": name, "sequence_number": i, **data}) for i, (name, data) in enumerate(steps)]


MAKERS = {"chat/completions": chat_events, "completions": completion_events, "responses": response_events}


def make_events(request: Request, answer: Answer) -> list[Event]:
    """Give the events of an answer."""
    return MAKERS[request.path](request, answer)


def first_half(events: Sequence[Event]) -> tuple[Event, ...]:
    """Give the events before the break: half of them, at least one, never the last."""
    return tuple(events[: max(1, len(events) // 2)])


def with_error(events: Sequence[Event], path: str, error: JSON) -> tuple[Event, ...]:
    """Give the first half of a stream and an event that says what went wrong."""
    before = first_half(events)
    if path == "responses":
        return (*before, Event("error", {"type": "error", "sequence_number": len(before), "error": error}))
    return (*before, Event(None, {"error": error}))
