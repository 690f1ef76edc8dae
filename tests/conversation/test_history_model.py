"""Any sequence of requests, failures, cancellations, rollbacks, pins, trims, dumps and loads, beside a model in plain Python.

The model is a list of messages and pins that is trimmed one by one, by rules written down here once more. What is sent
and what is remembered must be what the model says, at every step.
"""

from __future__ import annotations

import asyncio
import json
import types

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stable_openai import Chat, ConfigurationError
from stable_openai.conversation import archive
from stable_openai.conversation import chat as chat_module

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


# -- the machine

WAYS = st.sampled_from(["request", "stream", "async", "async stream"])
ERRORS = st.sampled_from([ProviderError("500"), ProviderError("refused"), TimeoutError(), KeyboardInterrupt()])
SIZES = st.integers(0, 12)
ENDS = st.sampled_from(["whole", "close", "throw", "forget"])


class Conversation(RuleBasedStateMachine):
    folder = None

    @initialize(most=st.none() | st.integers(1, 9), most_tokens=st.none() | st.integers(12, 90))
    def begin(self, most, most_tokens):
        self.numbers = 0
        self.alternates = most is None or most % 2 == 0  # as long as nothing but rounds is added
        self.loop = asyncio.new_event_loop()
        self.start(most, most_tokens)

    def start(self, most, most_tokens):
        self.chat = Chat("key", model="m", MsgMaxCount=most, max_tokens_history=most_tokens)
        self.chat._clients = self.clients = Clients()
        self.model = Model(most, most_tokens)

    def teardown(self):
        if hasattr(self, "loop"):
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    def fresh(self, size=0):
        """A text that nobody has said before."""
        self.numbers += 1
        return f"{self.numbers}".ljust(size, "x")

    # -- rounds

    def ask(self, way, messages, plan, end="whole", pieces=0):
        """Ask in one of the four ways, and see that what is sent, remembered and raised is what the model says."""
        if way.startswith("async") and isinstance(plan.error, KeyboardInterrupt):
            plan.error = ProviderError("a loop that is interrupted ends")
        said = [message["content"] if message["role"] == "user" else message for message in messages]
        missing = {*self.model.open_calls()} - {message.get("tool_call_id") for message in messages}
        expected = None if missing else self.model.sending(messages)
        before = len(self.clients.sent)
        self.clients.plans[messages[-1]["content"]] = plan
        caught = got = None
        try:
            if way == "request":
                got = self.chat.request(*said)
            elif way == "stream":
                got = self.read(self.chat.stream_request(*said), end, pieces)
            elif way == "async":
                got = self.run(self.chat.async_request(*said))
            else:
                got = self.run(self.afterwards(self.aread(said, end, pieces)))
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # looked at below
            caught = error
        if expected is None:
            assert isinstance(caught, ConfigurationError)
            assert len(self.clients.sent) == before
            return
        assert self.clients.sent[before:] == [expected]
        if plan.error is not None and got is None:
            assert caught is plan.error
            if way.endswith("stream") and isinstance(caught, Exception):
                assert plan.text.startswith(caught.partial_text)
            return
        assert caught is None
        if got != "left":
            assert got == ("" if plan.calls else plan.text)
            message = {"role": "assistant", "content": None if plan.calls else plan.text}
            calls = {"tool_calls": [call(each) for each in plan.calls]} if plan.calls else {}
            self.model.add(*messages, {**message, **calls})

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    @staticmethod
    def read(stream, end, pieces):
        text = ""
        for number, piece in enumerate(stream):
            text += piece
            if end != "whole" and number == pieces:
                if end == "close":
                    stream.close()
                elif end == "throw":
                    with pytest.raises(LookupError):
                        stream.throw(LookupError())
                return "left"
        return text

    async def aread(self, said, end, pieces):
        text = ""
        stream = self.chat.async_stream_request(*said)
        async for piece in stream:
            text += piece
            if end != "whole" and len(text) == pieces + 1:
                if end == "close":
                    await stream.aclose()
                elif end == "throw":
                    with pytest.raises(LookupError):
                        await stream.athrow(LookupError())
                return "left"
        return text

    async def afterwards(self, coroutine):
        """Wait for it, and then until the event loop has closed what was left."""
        got = await coroutine
        for _ in range(3):
            await asyncio.sleep(0)
        return got

    @rule(way=WAYS, question=SIZES, answer=SIZES)
    def request(self, way, question, answer):
        self.ask(way, [{"role": "user", "content": self.fresh(question)}], Plan(self.fresh(answer)))

    @rule(way=WAYS, error=ERRORS, after=st.integers(0, 3))
    def request_that_fails(self, way, error, after):
        self.ask(way, [{"role": "user", "content": self.fresh()}], Plan(self.fresh(5), error=error, after=after))

    @rule(way=WAYS, end=ENDS, pieces=st.integers(0, 2))
    def stream_that_is_left(self, way, end, pieces):
        self.ask(way, [{"role": "user", "content": self.fresh()}], Plan(self.fresh(5)), end, pieces)

    @rule(way=WAYS, count=st.integers(1, 2))
    def request_that_calls_tools(self, way, count):
        self.alternates = False
        calls = tuple(f"call-{self.fresh()}" for _ in range(count))
        self.ask(way, [{"role": "user", "content": self.fresh()}], Plan(calls=calls))

    @precondition(lambda self: self.model.open_calls())
    @rule(way=WAYS, data=st.data(), again=st.booleans(), error=st.none() | ERRORS)
    def results(self, way, data, again, error):
        """All results or some, by which the model is asked again, and may call again, or fail."""
        calls = data.draw(st.lists(st.sampled_from(self.model.open_calls()), min_size=1, unique=True))
        messages = [{"role": "tool", "tool_call_id": each, "content": self.fresh()} for each in calls]
        plan = Plan(calls=(f"call-{self.fresh()}",), error=error) if again else Plan(self.fresh(), error=error)
        self.ask(way, messages, plan)

    @precondition(lambda self: not self.model.open_calls())
    @rule(answers=st.lists(st.sampled_from(["fine", "fails", "cancelled"]), min_size=2, max_size=4))
    def crowd(self, answers):
        """Tasks at the same time, some of which are cancelled or fail: the others follow one another."""
        asked, sent, expected = [], len(self.clients.sent), []
        for answer in answers:
            message, plan = {"role": "user", "content": self.fresh()}, Plan(self.fresh())
            sending = self.model.sending([message]) if answer != "cancelled" else None
            outcome = answer if answer == "cancelled" or sending is not None else "no room"
            if outcome == "fails":
                plan.error = ProviderError()
            if sending is not None:
                expected.append(sending)
            if outcome == "fine":
                self.model.add(message, {"role": "assistant", "content": plan.text})
            self.clients.plans[message["content"]] = plan
            asked.append((outcome, message["content"], plan))

        async def together():
            tasks = [asyncio.ensure_future(self.chat.async_request(question)) for _, question, _ in asked]
            async with self.chat._turns.aturn():
                await asyncio.sleep(0)  # now all of them stand in line
                for (outcome, _, _), task in zip(asked, tasks, strict=True):
                    if outcome == "cancelled":
                        task.cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

        results = self.run(together())
        assert self.clients.sent[sent:] == expected
        for (outcome, _, plan), got in zip(asked, results, strict=True):
            if outcome == "fine":
                assert got == plan.text
            elif outcome == "fails":
                assert got is plan.error
            else:
                assert isinstance(got, {"cancelled": asyncio.CancelledError, "no room": ConfigurationError}[outcome])

    # -- what is done with the history

    @precondition(lambda self: not self.model.open_calls())
    @rule(roles=st.lists(st.sampled_from(["user", "assistant", "system", "developer", "tools"]), max_size=4))
    def dialogs(self, roles):
        self.alternates = self.alternates and not roles
        messages = []
        for role in roles:
            if role == "tools":
                names = [f"call-{self.fresh()}" for _ in range(2)]
                messages.append({"role": "assistant", "content": None, "tool_calls": [call(each) for each in names]})
                messages += [{"role": "tool", "tool_call_id": each, "content": self.fresh()} for each in names]
            else:
                messages.append({"role": role, "content": self.fresh()})
        self.chat.add_dialogs(*messages)
        self.model.add(*messages)

    @rule(bad=st.sampled_from([7, None, {}, {"role": "me", "content": "x"}, {"role": "user", "content": [7]}]))
    def bad_dialogs(self, bad):
        with pytest.raises(ConfigurationError):
            self.chat.add_dialogs({"role": "user", "content": self.fresh()}, bad)

    @rule(count=st.integers(1, 4))
    def rollback(self, count):
        assert self.chat.rollback(count) == self.model.rollback(count)

    @rule(data=st.data(), pinned=st.booleans())
    def pin(self, data, pinned):
        size = len(self.model.said)
        places = data.draw(st.lists(st.integers(-size, size - 1), max_size=4)) if size else []
        (self.chat.pin if pinned else self.chat.unpin)(*places)
        for at in places:
            self.model.said[at] = (self.model.said[at][0], pinned)
        self.alternates = self.alternates and not self.model.pinned

    @rule(data=st.data())
    def pin_what_is_not_there(self, data):
        size = len(self.model.said)
        wrong = data.draw(st.sampled_from([size, -size - 1]))
        with pytest.raises(IndexError):
            self.chat.pin(*range(size), wrong)

    @rule()
    def clear(self):
        assert self.chat.clear() == self.model.messages
        self.model.said = []

    # -- files

    @rule(as_the_seeds=st.booleans())
    def there_and_back(self, as_the_seeds):
        path = self.folder / "record.json"
        if as_the_seeds:
            path.write_text(json.dumps(self.chat.fetch_messages(), ensure_ascii=False), encoding="utf8")
            self.model.said = [(message, False) for message in self.model.messages]
            self.model.said = self.model.trimmed(self.model.said, 0, by_count=True)
        else:
            self.chat.dump(path)
        self.chat.load(path)

    @rule(most=st.none() | st.integers(1, 9), most_tokens=st.none() | st.integers(12, 90))
    def into_another(self, most, most_tokens):
        """Loaded by a chat with other bounds, it is trimmed by those."""
        self.chat.dump(self.folder / "record.json")
        said = self.model.said
        self.start(most, most_tokens)
        self.chat.load(self.folder / "record.json")
        self.model.said = self.model.trimmed(said, 0, by_count=True)
        self.alternates = self.alternates and (most is None or most % 2 == 0)

    @rule(bad=st.sampled_from(["", "{}", "[7]", '[{"role": "user", "content": "x"}, {"role": "user"}]']))
    def bad_file(self, bad):
        (self.folder / "bad.json").write_text(bad)
        with pytest.raises(ConfigurationError):
            self.chat.load(self.folder / "bad.json")

    @rule()
    def crash_while_it_dumps(self):
        path = self.folder / "record.json"
        path.write_text("before")

        def crash(*arguments):
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(archive.os, "fsync", crash)
            with pytest.raises(KeyboardInterrupt):
                self.chat.dump(path)
        assert path.read_text() == "before"

    # -- always

    @invariant()
    def it_is_as_the_model_says(self):
        assert self.chat.fetch_messages() == self.model.messages
        assert self.chat._history.pinned() == self.model.pinned
        assert len(self.chat) == len(self.model.said)
        assert not self.chat._turns._line

    @invariant()
    def bounds_are_kept(self):
        """But for what must stay, which alone may be too much."""
        model = self.model
        over = model.most is not None and len(model.said) > model.most
        over = over or (model.most_tokens is not None and sum(map(weigh, model.messages)) > model.most_tokens)
        for unit in units(model.said) if over else ():
            messages = [model.said[at][0] for at in unit]
            waits = {each["id"] for each in messages[0].get("tool_calls", ())} & {*model.open_calls()}
            assert waits or any(model.said[at][1] or model.said[at][0]["role"] in LASTING for at in unit)

    @invariant()
    def nothing_is_doubled(self):
        contents = [message["content"] for message in self.chat.fetch_messages() if message["content"]]
        assert len(contents) == len(set(contents))

    @invariant()
    def tools_stand_together(self):
        """Each result behind its call; each call but the last with all its results, here and in all that was sent."""
        for messages in (self.chat.fetch_messages(), *self.clients.sent[-1:]):
            waiting = []
            for message in messages:
                if message["role"] == "tool":
                    waiting.remove(message["tool_call_id"])
                    continue
                assert waiting == []
                waiting = [each["id"] for each in message.get("tool_calls", ())]
            assert waiting == (
                [] if messages is not self.chat.fetch_messages() and not self.model.open_calls() else waiting
            )

    @invariant()
    def roles_alternate(self):
        """Where nothing but rounds was added, and nothing pinned."""
        if self.alternates:
            for messages in (self.chat.fetch_messages(), *self.clients.sent):
                assert [message["role"] for message in messages] == ["user", "assistant"] * (len(messages) // 2) + ["user"] * (len(messages) % 2)  # fmt: skip


def test_any_sequence(monkeypatch, tmp_path, capsys):
    """Fifty conversations of up to forty steps."""
    monkeypatch.setattr(chat_module, "message_tokens", weigh)
    monkeypatch.setattr(archive.os, "fsync", lambda file: None)  # nothing is lost here but time
    monkeypatch.setattr(Conversation, "folder", tmp_path)
    run_state_machine_as_test(
        Conversation,
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert [path for path in tmp_path.iterdir() if path.name.endswith(".part")] == []
