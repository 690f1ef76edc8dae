"""The ids of things that belong to one account: where requests name them, and where answers do.

A file, a batch, a stored response is known to the account (at OpenAI: to the project) that made it, and to no other.
Requests name such things in their path (``/v1/files/file-abc``), in a list's ``after``, and in fields of their JSON.

Fields count at the top of a body by their name. Further down, where anybody's data may stand, only ids with a prefix
that is known count, and what the client keeps for itself (``metadata``, the parameters of a tool) is left out. That an
item of an earlier answer is given again in full makes no difference to the account: only a reference to one does, and
reasoning that is kept at the provider.

Models are none of these: the pool itself learns which keys a fine-tuned one is for.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

__all__ = ["Target", "ids_in_answer", "ids_in_body", "is_taken_unseen", "read_target"]

# What comes before an id in a path.
_COLLECTIONS: Final = frozenset({
    "assistants", "batches", "chat/completions", "chatkit/sessions", "chatkit/threads", "containers", "conversations",
    "evals", "files", "fine-tunes", "fine_tuning/jobs", "responses", "skills", "threads", "uploads", "vector_stores",
    "videos",
})  # fmt: skip
_HEADS: Final = frozenset(name.partition("/")[0] for name in _COLLECTIONS) - {"chat"}
_PREFIXES: Final = (
    "file-", "file_", "batch_", "resp_", "vs_", "vsfb_", "asst_", "thread_", "run_", "upload_", "ftjob-", "conv_",
    "cntr_", "video_", "eval_", "evalrun_", "pmpt_", "rs_", "skill_", "cthr_", "cksess_",
)  # fmt: skip
_AT_TOP: Final = (
    "previous_response_id", "input_file_id", "file_id", "training_file", "validation_file", "assistant_id",
    "thread_id", "vector_store_id", "conversation", "container", "file_ids", "vector_store_ids",
)  # fmt: skip
_UNSEEN: Final = frozenset({"batches", "evals", "fine_tuning", "vector_stores"})
_MODELS: Final = "/models/"
_PROMPT: Final = "prompt"  # a text, or an object that names one that is kept
_TOPS: Final = frozenset({*_AT_TOP, _PROMPT})
_NESTED: Final = frozenset({*_AT_TOP, "container_id", "id"})
_SKIPPED: Final = frozenset({"annotations", "arguments", "json_schema", "metadata", "parameters", "schema"})
_REFERENCE: Final = "item_reference"
_MARK: Final = re.compile(rb'"(?:file[-_]|vs_|cntr_|rs_|item_reference")')  # of what stands further down
_MOST: Final = 32  # ids of one request
_MOST_LOOKED_AT: Final = 20_000  # objects and lists of a body
_LONGEST: Final = 200
_READ: Final = 1 << 16  # bytes of an answer
_ID: Final = re.compile(r"[A-Za-z0-9][\w.:-]{2,199}")
# The prefix is looked for first, as nothing else takes long: what comes before it is looked at where it was found.
_ANSWERED: Final = re.compile(
    rb'id"\s*:\s*"((?:' + "|".join(map(re.escape, _PREFIXES)).encode() + rb')[\w-]{1,%d})"' % _LONGEST
)
_FIRST: Final = re.compile(rb'\s*\{[^{}\[\]]{0,2000}?"id"\s*:\s*"([\w.:-]{3,%d})"' % _LONGEST)  # of whatever form


class Target(NamedTuple):
    """What an address tells.

    Attributes:
        ids: The ids that it names: the first of its path, which all others belong to; else where a list goes on.
        kept: Whether what it is about is kept for one account.
        model: The model that it names: what is said of it is not said of the key as a whole.
    """

    ids: tuple[str, ...]
    kept: bool
    model: str | None


@functools.lru_cache(maxsize=256)  # most are always the same
def read_target(target: str) -> Target:
    """Read what follows ``/v1`` in an address."""
    head = _head_of(target)
    model = unquote(target[len(_MODELS) :].partition("?")[0]) or None if target.startswith(_MODELS) else None
    return Target(_ids_in(target), head in _HEADS, model)


def _ids_in(target: str) -> tuple[str, ...]:
    path, _, query = target.partition("?")
    parts = path.split("/", 4)  # "", the collection, an id, the rest
    if len(parts) < 3:  # noqa: PLR2004
        return _places(query) if query and path[1:] in _HEADS else ()
    at = 2 if parts[1] in _COLLECTIONS else 3
    if at == len(parts) or (at > 2 and f"{parts[1]}/{parts[2]}" not in _COLLECTIONS):  # noqa: PLR2004
        return _places(query) if query and at == len(parts) and parts[1] in _HEADS else ()
    return (parts[at],) if _is_id(parts[at]) else ()


def is_taken_unseen(method: str, target: str, ids: tuple[str, ...]) -> bool:
    """Whether a request begins a job with a file that providers may look for only later, when it fails."""
    return method == "POST" and ids[0].startswith(("file-", "file_")) and _head_of(target) in _UNSEEN


def ids_in_body(fields: Mapping[str, Any], body: bytes) -> tuple[str, ...]:
    """The ids that a request names.

    Args:
        fields: Its JSON.
        body: The same as it came: most requests name none, and are not looked through.
    """
    is_marked = _MARK.search(body) is not None
    if not is_marked and _TOPS.isdisjoint(fields):
        return ()
    found: dict[str, None] = {}
    for name in _AT_TOP:
        _note(found, fields.get(name), known=False)
    if isinstance(fields.get(_PROMPT), Mapping):
        _note(found, fields[_PROMPT], known=False)
    if is_marked:
        _look_through(fields, found)
    return tuple(found)[:_MOST]


def ids_in_answer(body: bytes) -> tuple[list[str], list[str]]:
    """The ids that the beginning of an answer names: of what it is about, and of what else is mentioned there."""
    own: list[str] = []
    others: list[str] = []
    first = _FIRST.match(body)
    if first is not None and _is_id(first.group(1).decode()):
        own.append(first.group(1).decode())
    for match in _ANSWERED.finditer(body, 0, _READ):
        at = match.start()
        (own if body[at - 1 : at] == b'"' else others).append(match.group(1).decode())
    return own, others


def _head_of(target: str) -> str:
    """The first word of a path."""
    return target[1:].partition("/")[0].partition("?")[0]


def _places(query: str) -> tuple[str, ...]:
    """From where a list goes on, which is the id of what came last."""
    pairs = (pair.partition("=") for pair in query.split("&"))
    return tuple(value for name, _, value in pairs if name in {"after", "before"} and _is_id(value))


def _is_id(text: str) -> bool:
    """Whether a text is an id: the words of an API, such as ``cancel`` and ``input_tokens``, have no figures."""
    if _ID.fullmatch(text) is None:
        return False
    return text.startswith(_PREFIXES) or any(letter.isdigit() for letter in text)


def _note(found: dict[str, None], value: object, *, known: bool) -> None:
    """Take note of what a field names: an id, some of them, or an object with one.

    Args:
        found: What was found.
        value: The field's.
        known: Whether only ids with a prefix that is known count.
    """
    if isinstance(value, str):
        if (value.startswith(_PREFIXES) or not known) and _is_id(value):
            found[value] = None
    elif isinstance(value, list):
        for each in value[:_MOST]:
            if isinstance(each, str):
                _note(found, each, known=known)
    elif isinstance(value, Mapping) and not known:
        _note(found, value.get("id"), known=True)


def _look_through(fields: Mapping[str, Any], found: dict[str, None]) -> None:
    left: list[Any] = [fields]
    for _ in range(_MOST_LOOKED_AT):
        if not left or len(found) >= _MOST:
            return
        node = left.pop()  # the last of a conversation come first
        if isinstance(node, list):
            left += [each for each in node if isinstance(each, (dict, list))]
            continue
        if node.get("type") == _REFERENCE:
            _note(found, node.get("id"), known=False)
        for name, value in node.items():
            if isinstance(value, str):
                if name in _NESTED and not _is_given_in_full(node, name):
                    _note(found, value, known=True)
            elif isinstance(value, (dict, list)) and name not in _SKIPPED:
                if name in _NESTED:
                    _note(found, value, known=True)
                left.append(value)


def _is_given_in_full(node: Mapping[str, Any], name: str) -> bool:
    return name == "id" and bool(node.get("encrypted_content"))
