"""Reads JSON bodies into requests, finding what a provider would find wrong with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from stable_openai.simulator.bodies import count_tokens
from stable_openai.simulator.messages import ANSWERING, Malformed, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from stable_openai.simulator.messages import JSON

MAX_CHOICES = 128
MAX_INPUTS = 2048
MAX_DIMENSIONS = 4096
OVERHEAD = 4
"""Tokens that each message costs beside its text."""


class BadBodyError(Exception):
    """A body that a provider refuses."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.malformed = Malformed(message, param, code)


def read_request(secret: str, path: str, body: bytes, deployment: str | None = None) -> Request:
    """Read a body; what is wrong with it stands in `malformed`.

    Args:
        secret: The credential sent, or an empty string.
        path: Path below the version.
        body: The body.
        deployment: The model that the URL names, as Azure's do.
    """
    if path not in ANSWERING:
        return Request(secret, path=path)
    try:
        fields = read_fields(path, read_object(body), deployment)
    except BadBodyError as error:
        return Request(secret, model=deployment or "", path=path, malformed=error.malformed)
    return Request(secret, path=path, **fields)


def read_object(body: bytes) -> dict[str, JSON]:
    """Parse a body that must be a JSON object."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise BadBodyError("The body of your request is no valid JSON.") from None
    if not isinstance(payload, dict):
        raise BadBodyError("The body of your request must be a JSON object.")
    return payload


def read_fields(path: str, payload: dict[str, JSON], deployment: str | None) -> dict[str, Any]:
    """Give the fields of `Request` that a payload holds."""
    model = deployment or payload.get("model")
    if model is None:
        raise BadBodyError("A model parameter is required.", "model", "missing_required_parameter")
    if not isinstance(model, str) or not model:
        raise BadBodyError("'model' must be a string that is not empty.", "model", "invalid_type")
    fields = READERS[path](payload)
    options = payload.get("stream_options")
    return {
        "model": model,
        "payload": payload,
        "n": read_int(payload, "n", 1, MAX_CHOICES) or 1,
        "stream": read_bool(payload, "stream"),
        "include_usage": isinstance(options, dict) and options.get("include_usage") is True,
        "max_tokens": read_int(payload, "max_completion_tokens", 1) or read_int(payload, "max_tokens", 1),
        **fields,
    }


def read_int(payload: dict[str, JSON], name: str, least: int, most: int | None = None) -> int | None:
    """Read a whole number that may be missing."""
    value = payload.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadBodyError(f"'{name}' must be an integer.", name, "invalid_type")
    if value < least:
        raise BadBodyError(f"'{name}' is {value}, below the minimum of {least}.", name, "integer_below_min_value")
    if most is not None and value > most:
        raise BadBodyError(f"'{name}' is {value}, above the maximum of {most}.", name, "integer_above_max_value")
    return value


def read_bool(payload: dict[str, JSON], name: str) -> bool:
    """Read a flag that may be missing."""
    value = payload.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadBodyError(f"'{name}' must be a boolean.", name, "invalid_type")
    return bool(value)


def text_of(content: JSON) -> str:
    """Give the text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(text for text in texts if isinstance(text, str))
    return ""


def read_chat(payload: dict[str, JSON]) -> dict[str, Any]:
    """Read messages."""
    return read_messages(payload, "messages")


def read_messages(payload: dict[str, JSON], name: str) -> dict[str, Any]:
    """Read a list of messages; the prompt is the last one of the user's, or failing that the last."""
    messages = payload.get(name)
    if messages is None:
        raise BadBodyError(f"The parameter '{name}' is missing.", name, "missing_required_parameter")
    if not isinstance(messages, list) or not messages:
        raise BadBodyError(f"'{name}' must be a list with at least one message.", name, "invalid_type")
    tokens = OVERHEAD
    prompt = last = ""
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise BadBodyError(f"'{name}[{index}]' must be an object.", f"{name}[{index}]", "invalid_type")
        if not isinstance(message.get("role", "user" if name == "input" else None), str):
            raise BadBodyError(f"'{name}[{index}].role' must be a string.", f"{name}[{index}].role", "invalid_type")
        last = text_of(message.get("content"))
        tokens += count_tokens(last) + OVERHEAD
        if message.get("role") == "user":
            prompt = last
    return {"prompt": prompt or last, "prompt_tokens": tokens}


def read_response(payload: dict[str, JSON]) -> dict[str, Any]:
    """Read the input of a response: a string or a list of messages."""
    most = read_int(payload, "max_output_tokens", 1)
    text = payload.get("input")
    if isinstance(text, str):
        return {"prompt": text, "prompt_tokens": count_tokens(text) + OVERHEAD, "max_tokens": most, "n": 1}
    return {**read_messages(payload, "input"), "max_tokens": most, "n": 1}


def read_completion(payload: dict[str, JSON]) -> dict[str, Any]:
    """Read the prompt of a completion."""
    prompt = payload.get("prompt", "")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise BadBodyError("'prompt' must be a string.", "prompt", "invalid_type")
    return {"prompt": prompt}


def read_embeddings(payload: dict[str, JSON]) -> dict[str, Any]:
    """Read the texts (or lists of token numbers) to embed."""
    given = payload.get("input")
    if isinstance(given, list) and given and all(type(item) is int for item in given):
        given = [given]
    inputs = [given] if isinstance(given, str) else given
    if not isinstance(inputs, list) or not inputs or len(inputs) > MAX_INPUTS:
        raise BadBodyError(f"'input' must be a string or 1 to {MAX_INPUTS} of them.", "input", "invalid_type")
    texts, tokens = [], 0
    for item in inputs:
        if isinstance(item, str):
            texts.append(item)
            tokens += count_tokens(item)
        elif isinstance(item, list) and all(type(number) is int for number in item):
            texts.append(json.dumps(item))
            tokens += len(item)
        else:
            raise BadBodyError("'input' must hold strings or lists of tokens.", "input", "invalid_type")
    return {
        "prompt": texts[0],
        "prompt_tokens": tokens,
        "inputs": tuple(texts),
        "dimensions": read_int(payload, "dimensions", 1, MAX_DIMENSIONS),
        "base64": payload.get("encoding_format") == "base64",
        "stream": False,
    }


READERS: dict[str, Callable[[dict[str, JSON]], dict[str, Any]]] = {
    "chat/completions": read_chat,
    "responses": read_response,
    "completions": read_completion,
    "embeddings": read_embeddings,
}
