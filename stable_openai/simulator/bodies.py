"""Bodies of good answers: chat completions, responses, completions, embeddings, models."""

from __future__ import annotations

import base64
import math
import random
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stable_openai.simulator.messages import JSON, Request

EPOCH = 1_750_000_000
"""Unix time of the provider's second 0, for `created`."""

MODELS = ("gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini", "gpt-3.5-turbo", "text-embedding-3-small")
"""Models that are listed where a provider takes any name."""

ECHO_CHARS = 400
"""Characters of the prompt that an echo repeats."""


def count_tokens(text: str) -> int:
    """Estimate tokens: one for four characters, at least one."""
    return max(1, math.ceil(len(text) / 4))


def prompt_tokens(request: Request) -> int:
    """Give the tokens of a request's prompt: as told, or estimated."""
    return count_tokens(request.prompt) if request.prompt_tokens is None else request.prompt_tokens


def echo(request: Request) -> str:
    """Answer a prompt with itself, so that a test can tell which answer belongs to which request."""
    return f"You said: {request.prompt[:ECHO_CHARS]}"


@dataclass(frozen=True)
class Answer:
    """What a request is answered with.

    Attributes:
        id: Id without its prefix.
        text: The text.
        created: Unix time in seconds.
        prompt_tokens: Tokens of the prompt.
        completion_tokens: Tokens of all answers together.
        whole: False where `max_tokens` cut the text.
    """

    id: str
    text: str
    created: int
    prompt_tokens: int
    completion_tokens: int
    whole: bool = True

    @property
    def total_tokens(self) -> int:
        """Tokens of prompt and answers."""
        return self.prompt_tokens + self.completion_tokens


def make_answer(request: Request, text: str, answer_id: str, now: float) -> Answer:
    """Make an answer of a text: shortened to `max_tokens`, its tokens counted."""
    whole = True
    if request.max_tokens is not None and count_tokens(text) > request.max_tokens:
        text, whole = text[: 4 * request.max_tokens], False
    completion = 0 if request.path == "embeddings" else count_tokens(text) * request.n
    return Answer(answer_id, text, EPOCH + int(now), prompt_tokens(request), completion, whole)


def chat_usage(answer: Answer) -> JSON:
    """Give `usage` of chat completions and completions."""
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.total_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def finish_reason(answer: Answer) -> str:
    """Give `stop`, or `length` where the text was cut."""
    return "stop" if answer.whole else "length"


def chat_body(request: Request, answer: Answer) -> JSON:
    """Give a chat completion."""
    message: dict[str, JSON] = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
    reason = finish_reason(answer)
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": "chat.completion",
        "created": answer.created,
        "model": request.model,
        "choices": [
            {"index": i, "message": message, "logprobs": None, "finish_reason": reason} for i in range(request.n)
        ],
        "usage": chat_usage(answer),
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }


def completion_body(request: Request, answer: Answer) -> JSON:
    """Give a completion of the older kind."""
    reason = finish_reason(answer)
    return {
        "id": f"cmpl-{answer.id}",
        "object": "text_completion",
        "created": answer.created,
        "model": request.model,
        "choices": [
            {"index": i, "text": answer.text, "logprobs": None, "finish_reason": reason} for i in range(request.n)
        ],
        "usage": chat_usage(answer),
    }


def output_item(answer: Answer, *, done: bool = True) -> JSON:
    """Give the message of a response."""
    content = [{"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}]
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "status": "completed" if done else "in_progress",
        "content": content if done else [],
    }


def response_body(request: Request, answer: Answer, *, done: bool = True) -> JSON:
    """Give a response, done or just begun."""
    status = ("completed" if answer.whole else "incomplete") if done else "in_progress"
    usage = {
        "input_tokens": answer.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": answer.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.total_tokens,
    }
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "error": None,
        "incomplete_details": None if answer.whole or not done else {"reason": "max_output_tokens"},
        "instructions": None,
        "max_output_tokens": request.max_tokens,
        "metadata": {},
        "model": request.model,
        "output": [output_item(answer)] if done else [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage if done else None,
    }


def vector(text: str, dimensions: int) -> list[float]:
    """Make the vector of a text: always the same one, of length 1."""
    rng = random.Random(text)
    values = [rng.random() - 0.5 for _ in range(dimensions)]
    norm = math.sqrt(sum(v * v for v in values)) or 1.0
    return [v / norm for v in values]


def embeddings_body(request: Request, answer: Answer, dimensions: int) -> JSON:
    """Give embeddings, as numbers or as base64 of 32-bit floats."""
    data = []
    for index, text in enumerate(request.inputs or (request.prompt,)):
        values = vector(text, dimensions)
        packed = base64.b64encode(struct.pack(f"<{dimensions}f", *values)).decode() if request.base64 else values
        data.append({"object": "embedding", "index": index, "embedding": packed})
    usage = {"prompt_tokens": answer.prompt_tokens, "total_tokens": answer.prompt_tokens}
    return {"object": "list", "data": data, "model": request.model, "usage": usage}


def model_body(name: str) -> JSON:
    """Give one model of the list."""
    return {"id": name, "object": "model", "created": EPOCH, "owned_by": "simulator"}


MAKERS = {"chat/completions": chat_body, "completions": completion_body, "responses": response_body}
