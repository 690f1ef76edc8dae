"""The quickstart that people have in their scripts, statement by statement: only its import line is ours."""

from __future__ import annotations

import ast
import json

import pytest

from stable_openai import ChatMessage, ChatResponse

QUICKSTART = """
from stable_openai import ChatManager, ChatSetup, ChatMessage, ChatResponse

ChatSetup.api_base = "https://api.openai.com/v1" # default api_based

cm = ChatManager()

cm.set_session("session1")

cm.add_key("key_name1", "sk-xxx")
cm.add_key("key_name2", "sk-yyy")
cm.keys.set_strategy("rest-time")


msg = ChatMessage()
msg.push_system("You are an assistant for programming")
msg.push_user("Can you write a loop in C language?")
response = cm.send(msg) # response: Optional[ChatResponse]

if response:
    msg1 = ChatMessage()

    msg1.push_msg(msg.drain())
    msg1.push_assistant(response.get_msg())

    new_query = "Is the above loop correct?"
    msg1.push_user(new_query)

    response = cm.send(msg1)

msgs = [msg for _ in range(10)]
response_lst = cm.send(msgs, thread_num = 10)

exported_json_str = cm.export_session("session1")
with open('log', 'w') as w:
    w.write(exported_json_str)
"""

LOOP, YES = "for (;;) {}", "Yes, 没错 ✅"
SYSTEM = {"role": "system", "content": "You are an assistant for programming"}
QUESTION = {"role": "user", "content": "Can you write a loop in C language?"}
AGAIN = {"role": "user", "content": "Is the above loop correct?"}


@pytest.fixture
def provider(openai_simulator, monkeypatch, tmp_path):
    """The provider that the environment names, and a directory to write in."""
    asked = []

    def answer(request):
        asked.append(request.payload)
        return LOOP if request.prompt == QUESTION["content"] else YES

    sim = openai_simulator(keys=["sk-xxx", "sk-yyy"], script=answer)
    sim.asked = asked
    monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
    monkeypatch.chdir(tmp_path)
    return sim


def test_it_runs_as_written(provider, tmp_path):
    """Twelve answers, a conversation that goes on, ten at once, a log of them all; in any encoding of the system."""
    script = {}
    exec(compile(QUICKSTART, "quickstart.py", "exec"), script)

    assert script["response"].get_msg() == YES
    assert [response.get_msg() for response in script["response_lst"]] == [LOOP] * 10
    assert all(isinstance(response, ChatResponse) for response in script["response_lst"])
    assert [body["messages"] for body in provider.asked[:2]] == [
        [SYSTEM, QUESTION],
        [SYSTEM, QUESTION, {"role": "assistant", "content": LOOP}, AGAIN],
    ]
    assert [body["messages"] for body in provider.asked[2:]] == [[SYSTEM, QUESTION]] * 10
    assert script["msg"] == ChatMessage([SYSTEM, QUESTION])
    log = (tmp_path / "log").read_bytes()
    assert log.isascii()
    entries = json.loads(log)
    assert [entry["response"]["choices"][0]["message"]["content"] for entry in entries] == [LOOP, YES, *[LOOP] * 10]
    assert b"sk-" not in log


def test_both_keys_do_their_share(provider):
    """By rest time, the two take turns."""
    exec(compile(QUICKSTART, "quickstart.py", "exec"), {})
    tallies = provider.stats().keys
    assert {name: tally.served for name, tally in tallies.items()} == {"key-1": 6, "key-2": 6}


def test_its_types_are_those_that_its_comments_tell(provider):
    """A response is true; so ``if response:`` goes on."""
    script = {}
    exec(compile(QUICKSTART.partition("\nif response:")[0], "quickstart.py", "exec"), script)
    assert script["response"]
    assert ast.parse(QUICKSTART)
