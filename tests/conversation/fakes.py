"""What the model test of conversations stands on: a client below the chat, and the model of its history."""

from __future__ import annotations

import asyncio
import json
import types

LASTING = ("system", "developer")


def weigh(message, model=None):
    """Tokens, in a way that one can count by hand."""
    return 1 + len(message.get("content") or "") + 2 * len(message.get("tool_calls") or ())


class ProviderError(Exception):
    """Stands for whatever openai's client raises."""


# -- a client below the chat


class Plan:
    """What the next request meets: an answer (a text, or ids of tool calls), and where it breaks, if it does."""

    def __init__(self, text="", calls=(), error=None, after=0):
        self.text, self.calls, self.error, self.after = text, calls, error, after

    def message(self):
        calls = [types.SimpleNamespace(model_dump=lambda exclude_none, each=each: call(each)) for each in self.calls]
        return types.SimpleNamespace(content=None if calls else self.text, tool_calls=calls)

    def chunks(self):
        """The pieces of a stream, of which the error, if there is one, comes after so many."""
        pieces = [types.SimpleNamespace(content=sign, tool_calls=None) for sign in self.text]
        for index, each in enumerate(self.calls):
            function = types.SimpleNamespace(name="look", arguments="{}")
            piece = types.SimpleNamespace(index=index, id=each, function=function)
            pieces.append(types.SimpleNamespace(content=None, tool_calls=[piece]))
        for number, delta in enumerate(pieces):
            if self.error is not None and number == self.after:
                raise self.error
            yield types.SimpleNamespace(choices=[types.SimpleNamespace(index=0, finish_reason=None, delta=delta)])
        if self.error is not None:
            raise self.error
        last = types.SimpleNamespace(content=None, tool_calls=None)
        yield types.SimpleNamespace(choices=[types.SimpleNamespace(index=0, finish_reason="stop", delta=last)])


def call(name):
    return {"id": name, "type": "function", "function": {"name": "look", "arguments": "{}"}}


class Stream:
    def __init__(self, plan):
        self.chunks = plan.chunks()

    def __iter__(self):
        return self.chunks

    async def __aiter__(self):
        for chunk in self.chunks:
            await asyncio.sleep(0)
            yield chunk

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.chunks.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *failure):
        self.chunks.close()


class Clients:
    """In the place of a chat's clients: takes what is sent, and does what is planned for the last message."""

    def __init__(self):
        self.plans, self.sent = {}, []
        make = lambda create: types.SimpleNamespace(chat=types.SimpleNamespace(completions=types.SimpleNamespace(create=create)))  # noqa: E731  # fmt: skip
        self._sync, self._async = make(self.create), make(self.acreate)

    def sync_with(self, options):
        return self._sync

    def async_with(self, options):
        return self._async

    def create(self, *, messages, model, stream=False):
        self.sent.append(json.loads(json.dumps(messages)))
        plan = self.plans.pop(messages[-1]["content"])
        if stream:
            return Stream(plan)
        if plan.error is not None:
            raise plan.error
        return types.SimpleNamespace(choices=[types.SimpleNamespace(message=plan.message())])

    async def acreate(self, **options):
        await asyncio.sleep(0)
        made = self.create(**options)
        await asyncio.sleep(0)
        return made


# -- the model


class Model:
    """What a conversation should be: ``said`` is a list of pairs of a message and whether it is pinned."""

    def __init__(self, most, most_tokens):
        self.most, self.most_tokens, self.said = most, most_tokens, []

    @property
    def messages(self):
        return [message for message, _ in self.said]

    @property
    def pinned(self):
        return [at for at, (_, pinned) in enumerate(self.said) if pinned]

    def open_calls(self):
        results = set()
        for message in reversed(self.messages):
            if message["role"] != "tool":
                return [each["id"] for each in message.get("tool_calls", ()) if each["id"] not in results]
            results.add(message["tool_call_id"])
        return []

    def add(self, *messages):
        self.said = self.trimmed([*self.said, *((message, False) for message in messages)], 0, by_count=True)

    def sending(self, messages):
        """What is to be sent, or None where it has no room."""
        said = self.trimmed([*self.said, *((message, False) for message in messages)], len(messages), by_count=False)
        if self.most_tokens is not None and sum(weigh(message) for message, _ in said) > self.most_tokens:
            return None
        return [message for message, _ in said]

    def trimmed(self, said, keep, *, by_count):
        while by_count and self.most is not None and len(said) > self.most:
            said, before = without_one(said, units(said), keep), len(said)
            if len(said) == before:
                break
        for cut in (rounds, units):
            while self.most_tokens is not None and sum(weigh(message) for message, _ in said) > self.most_tokens:
                said, before = without_one(said, cut(said), keep), len(said)
                if len(said) == before:
                    break
        return said

    def rollback(self, count):
        starts = starts_of(self.said)
        if not starts:
            return []
        cut = starts[max(len(starts) - count, 0)]
        gone = [message for message, _ in self.said[cut:] if message["role"] not in LASTING]
        self.said = [*self.said[:cut], *(each for each in self.said[cut:] if each[0]["role"] in LASTING)]
        return gone


def starts_of(said):
    roles = [None, *(message["role"] for message, _ in said)]
    return [at for at in range(len(said)) if roles[at + 1] == "user" and roles[at] != "user"]


def units(said):
    """Places of what goes together: a call of tools with its results, and else each message alone."""
    found = []
    for at, (message, _) in enumerate(said):
        if message["role"] == "tool" and found:
            found[-1].append(at)
        else:
            found.append([at])
    return found


def rounds(said):
    edges = sorted({0, *starts_of(said), len(said)})
    return [[at for at in range(a, b) if said[at][0]["role"] not in LASTING] for a, b in zip(edges, edges[1:])]  # noqa: B905


def without_one(said, cuts, keep):
    """Without the first that may go: nothing pinned, nothing of the system's, not the last ``keep``, no open calls."""
    answered = {message.get("tool_call_id") for message, _ in said}
    for cut in cuts:
        held = [
            at
            for at in cut
            if said[at][1]
            or said[at][0]["role"] in LASTING
            or at >= len(said) - keep
            or any(each["id"] not in answered for each in said[at][0].get("tool_calls", ()))
        ]
        if cut and not held:
            return [each for at, each in enumerate(said) if at not in cut]
    return said
