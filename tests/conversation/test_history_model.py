"""Any sequence of requests, failures, cancellations, rollbacks, pins, trims, dumps and loads, beside a model in plain Python.

The model (``fakes.py``) is a list of messages and pins that is trimmed one by one, by rules written down there once more.
What is sent and what is remembered must be what the model says, at every step.
"""

from __future__ import annotations

import asyncio
import json
import os

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
from stable_openai.conversation import chat as chat_module
from tests.conversation.fakes import LASTING, Clients, Model, Plan, ProviderError, call, units, weigh

# -- the machine

WAYS = st.sampled_from(["request", "stream", "async", "async stream"])
ERRORS = st.sampled_from([ProviderError("500"), ProviderError("refused"), TimeoutError(), KeyboardInterrupt()])
SIZES = st.integers(0, 12)
MOST, MOST_TOKENS = st.sampled_from([None, *range(1, 8)]), st.sampled_from([None, None, 15, 30, 45, 60])
BAD_MESSAGES = [7, None, {}, {"role": "me", "content": "x"}, {"role": "user", "content": [7]}]
BAD_FILES = ["", "{}", "[7]", '[{"role": "user", "content": "x"}, {"role": "user"}]']
ENDS = st.sampled_from(["whole", "close", "throw", "forget"])


class Conversation(RuleBasedStateMachine):
    folder = None

    @initialize(most=MOST, most_tokens=MOST_TOKENS)
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

    @rule(way=WAYS, error=st.none() | ERRORS, after=st.integers(0, 3), end=ENDS)
    def request_that_is_not_finished(self, way, error, after, end):
        """It fails, at any piece, or is left in the middle."""
        plan = Plan(self.fresh(5), error=error, after=after)
        self.ask(way, [{"role": "user", "content": self.fresh()}], plan, end if error is None else "whole", after)

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
    @rule(
        roles=st.lists(st.sampled_from(["user", "assistant", "system", "developer", "tools"]), min_size=1, max_size=3)
    )
    def dialogs(self, roles):
        self.alternates = False
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

    @rule(count=st.sampled_from([1, 1, 2, 3, None]))
    def rollback(self, count):
        """The last rounds; or all, by ``clear``."""
        if count is None:
            assert self.chat.clear() == self.model.messages
            self.model.said = []
        else:
            assert self.chat.rollback(count) == self.model.rollback(count)

    @precondition(lambda self: self.model.said)
    @rule(data=st.data(), pinned=st.sampled_from([True, True, False]))
    def pin(self, data, pinned):
        size = len(self.model.said)
        places = data.draw(st.lists(st.integers(-size, size - 1), min_size=1, max_size=3))
        (self.chat.pin if pinned else self.chat.unpin)(*places)
        for at in places:
            self.model.said[at] = (self.model.said[at][0], pinned)
        self.alternates = self.alternates and not self.model.pinned

    @rule(bad=st.sampled_from([*BAD_MESSAGES, *BAD_FILES, "pin", "pin"]))
    def what_is_refused(self, bad):
        """Bad messages, bad files, pins of what is not there: nothing changes."""
        if bad == "pin":
            for wrong in (len(self.model.said), -len(self.model.said) - 1):
                with pytest.raises(IndexError):
                    self.chat.pin(*range(len(self.model.said)), wrong)
                with pytest.raises(IndexError):
                    self.chat.unpin(*range(len(self.model.said)), wrong)
        elif isinstance(bad, str):
            (self.folder / "bad.json").write_text(bad)
            with pytest.raises(ConfigurationError):
                self.chat.load(self.folder / "bad.json")
        else:
            with pytest.raises(ConfigurationError):
                self.chat.add_dialogs({"role": "user", "content": self.fresh()}, bad)

    # -- files

    @rule(kind=st.sampled_from(["dump", "seeds", "crash", "other"]), most=MOST, most_tokens=MOST_TOKENS)
    def files(self, kind, most, most_tokens):
        """There and back; as the seeds write it; a crash in the middle; loaded by a chat with other bounds."""
        path = self.folder / "record.json"
        said = self.model.said
        if kind == "crash":
            self.crash(path)
            return
        if kind == "seeds":
            path.write_text(json.dumps(self.chat.fetch_messages(), ensure_ascii=False), encoding="utf8")
            said = [(message, False) for message in self.model.messages]
        else:
            self.chat.dump(path)
        if kind == "other":
            self.start(most, most_tokens)
            self.alternates = self.alternates and (most is None or most % 2 == 0)
        self.chat.load(path)
        self.model.said = self.model.trimmed(said, 0, by_count=True)

    def crash(self, path):
        path.write_text("before")

        def crash(*arguments):
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", crash)
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
    """Fifty conversations of up to fifty steps."""
    monkeypatch.setattr(chat_module, "message_tokens", weigh)
    monkeypatch.setattr(os, "fsync", lambda file: None)  # nothing is lost here but time
    monkeypatch.setattr(Conversation, "folder", tmp_path)
    run_state_machine_as_test(
        Conversation,
        settings=settings(
            max_examples=50,
            stateful_step_count=50,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert [path for path in tmp_path.iterdir() if path.name.endswith(".part")] == []
