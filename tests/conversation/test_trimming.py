# ruff: noqa: RUF001  # the examples are Chinese
"""What is removed when there are too many messages or tokens, and what stays: the seeds' tables, to the letter."""

from __future__ import annotations

import pytest

from stable_openai import ConfigurationError, assistant_msg, system_msg, tool_msg, user_msg
from stable_openai.conversation.history import History

CAPITALS = {
    "英国的首都是什么？": "伦敦", "日本首都是什么？": "东京", "意大利的首都是什么？": "罗马", "美国的首都是什么？": "华盛顿",
    "世界上国土面积最大的国家是哪个？": "俄罗斯", "法国的首都叫什么？": "巴黎", "青蛙的幼体叫什么？": "蝌蚪",
    "世界上最大的海洋是什么？": "太平洋",
}  # fmt: skip
THREE, REST = list(CAPITALS)[:3], list(CAPITALS)[4:]
# As seed 001 has them: message, index from the front, index from the back, and whether it is pinned.
FIRST_TABLE = """
| 英国的首都是什么？   |    0    |    -6    |
| 伦敦                 |    1    |    -5    |
| 日本首都是什么？     |    2    |    -4    |
| 东京                 |    3    |    -3    |
| 意大利的首都是什么？ |    4    |    -2    |
| 罗马                 |    5    |    -1    |
"""
SECOND_TABLE = """
| 英国的首都是什么？   |    0    |    -6    |  已锁定  |
| 东京                 |    1    |    -5    |    -    |
| 意大利的首都是什么？ |    2    |    -4    |  已锁定  |
| 罗马                 |    3    |    -3    |  已锁定  |
| 美国的首都是什么？   |    4    |    -2    |    -    |
| 华盛顿               |    5    |    -1    |    -    |
"""


def table(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines()]


def shown(chat, *, with_pins):
    """A conversation as the tables show it."""
    messages, pinned = chat.fetch_messages(), chat._history.pinned()
    rows = [[each["content"], str(at), str(at - len(messages))] for at, each in enumerate(messages)]
    return [[*row, "已锁定" if at in pinned else "-"] for at, row in enumerate(rows)] if with_pins else rows


@pytest.mark.parametrize(
    ("option", "names"), [("MsgMaxCount", ("pin_messages", "unpin_messages")), ("msg_max_count", ("pin", "unpin"))]
)
def test_the_tables(talk, way, names, option):
    """Six messages, three of them pinned, and what is left after one more round, and after five."""
    pin, unpin = names
    here = talk(script=lambda request: CAPITALS[request.prompt])
    chat = here.chat(**{option: 6})
    for question in THREE:
        assert way.ask(chat, question) == CAPITALS[question]
    assert shown(chat, with_pins=False) == table(FIRST_TABLE)
    getattr(chat, pin)(0, -2, -1)
    way.ask(chat, "美国的首都是什么？")
    assert shown(chat, with_pins=True) == table(SECOND_TABLE)
    getattr(chat, pin)(-2)
    for question in REST:
        way.ask(chat, question)
    pinned = ["英国的首都是什么？", "意大利的首都是什么？", "罗马", "美国的首都是什么？"]
    assert [message["content"] for message in chat.fetch_messages()] == [*pinned, "世界上最大的海洋是什么？", "太平洋"]
    assert [message["role"] for message in chat.fetch_messages()] == [
        "user",
        "user",
        "assistant",
        *["user", "user", "assistant"],
    ]
    getattr(chat, unpin)(0, -2, -1)
    assert chat._history.pinned() == [1, 2, 3]
    getattr(chat, pin)(1, 1, 1)
    getattr(chat, unpin)(-1)
    assert chat._history.pinned() == [1, 2, 3]


def test_what_is_sent_is_all_that_is_remembered(talk, way):
    """A bound of messages is about the memory: the question comes on top, so that roles alternate from the first on."""
    here = talk()
    chat = here.chat(MsgMaxCount=4)
    for number in range(4):
        way.ask(chat, f"question {number}")
    sent = [[message["role"] for message in payload["messages"]] for payload in here.asked]
    assert sent == [["user", *["assistant", "user"] * count] for count in (0, 1, 2, 2)]
    assert [message["content"] for message in chat.fetch_messages()][::2] == ["question 2", "question 3"]


def test_indexes_are_pythons(talk):
    """One that is not there raises, and nothing is pinned; so does what is no index."""
    chat = talk().chat()
    with pytest.raises(IndexError, match="there are 0"):
        chat.pin_messages(0)
    chat.add_dialogs(user_msg("a"), assistant_msg("b"))
    for places, error in (((0, 2), IndexError), ((0, -3), IndexError), ((0, "1"), TypeError), ((True,), TypeError)):
        with pytest.raises(error):
            chat.pin_messages(*places)
        with pytest.raises(error):
            chat.unpin(*places)
    assert chat._history.pinned() == []
    chat.pin()
    chat.pin(-1, 0, 0, 1)
    assert chat._history.pinned() == [0, 1]


def test_system_messages_stay(talk):
    """Whatever the bound; they count."""
    here = talk()
    chat = here.chat(MsgMaxCount=3)
    chat.add_dialogs(system_msg("be kind"))
    for number in range(3):
        chat.request(f"question {number}")
    assert [message["content"] for message in chat.fetch_messages()] == [
        "be kind",
        "question 2",
        "You said: question 2",
    ]
    chat.add_dialogs(system_msg("be brief"), {"role": "developer", "content": "be nice"}, system_msg("be quick"))
    assert [message["role"] for message in chat.fetch_messages()] == ["system", "system", "developer", "system"]
    assert chat.request("and now?") == "You said: and now?"
    assert len(chat) == 4


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "6"])
@pytest.mark.parametrize("name", ["MsgMaxCount", "msg_max_count", "max_tokens_history"])
def test_bounds_are_positive_numbers(talk, name, wrong):
    """The error names what it is about."""
    with pytest.raises(ConfigurationError, match="max_tokens_history" if "tokens" in name else "MsgMaxCount"):
        talk().chat(**{name: wrong})


def test_two_names_of_one_bound(talk):
    """They may agree; they may not contradict each other."""
    here = talk()
    assert here.chat(MsgMaxCount=2, msg_max_count=2)._history.most == 2
    with pytest.raises(ConfigurationError, match="msg_max_count: contradicts MsgMaxCount"):
        here.chat(MsgMaxCount=2, msg_max_count=4)


# -- tools


def calls(*ids):
    function = {"name": "look", "arguments": "{}"}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": each, "type": "function", "function": function} for each in ids],
    }


TOOLS = [user_msg("q"), calls("a", "b"), tool_msg("a", "1"), tool_msg("b", "2"), assistant_msg("so")]


def roles(history):
    return [message["role"] for message in history.messages()]


@pytest.mark.parametrize(("most", "left"), [(5, 5), (4, 4), (3, 1), (2, 1), (1, 1)])
def test_tool_calls_go_with_their_results(most, left):
    """All of them, or none: a result without its call would be refused."""
    history = History(most)
    history.add(TOOLS)
    assert roles(history) == [message["role"] for message in TOOLS[-left:]]


@pytest.mark.parametrize("pinned", [1, 2, 3])
def test_one_pin_holds_the_group(pinned):
    """A pinned result keeps its call and the other results, and the other way round."""
    history = History(3)
    history.replace(TOOLS[:4], [pinned])
    assert roles(history) == ["assistant", "tool", "tool"]
    history.add([user_msg("next"), assistant_msg("yes")])
    assert roles(history) == ["assistant", "tool", "tool"]


def test_open_calls_stay():
    """What waits for its results is not removed before they come, however small the bound; then it is."""
    history = History(2)
    history.replace([user_msg("kept"), assistant_msg("kept")], [0, 1])
    history.add([user_msg("q"), calls("a", "b")])
    assert roles(history) == ["user", "assistant", "assistant"]
    assert history.open_tool_calls() == ["a", "b"]
    results = [tool_msg("a", "1"), tool_msg("b", "2")]
    assert [each["role"] for each in history.sending(results)] == ["user", "assistant", "assistant", "tool", "tool"]
    history.add([tool_msg("a", "1")])
    assert history.open_tool_calls() == ["b"]
    assert roles(history)[2:] == ["assistant", "tool"]
    history.add([tool_msg("b", "2"), assistant_msg("so")])
    assert roles(history) == ["user", "assistant"]


# -- tokens: one for each sign of content, to count by hand


def measured(most_tokens, most=None):
    return History(most, most_tokens, lambda message: len(message.get("content") or "") or 5)


def test_tokens_are_trimmed_by_rounds():
    """The oldest question goes with its answer, so that roles alternate."""
    history = measured(10)
    history.add([user_msg("aaa"), assistant_msg("bbb"), user_msg("cc"), assistant_msg("dd")])
    assert len(history) == 4
    assert [each["content"] for each in history.sending([user_msg("e")])] == ["cc", "dd", "e"]
    assert len(history) == 4
    history.add([user_msg("e")])
    assert [each["content"] for each in history.messages()] == ["cc", "dd", "e"]


def test_tokens_beside_pins():
    """Pinned and system messages stay, and only what is beside them goes, though its question or answer stays."""
    history = measured(12)
    history.replace([system_msg("sss"), user_msg("aaa"), assistant_msg("bbb"), user_msg("cc")], [2])
    assert [each["content"] for each in history.sending([user_msg("dddd")])] == ["sss", "bbb", "cc", "dddd"]
    assert [each["content"] for each in history.sending([user_msg("dddddd")])] == ["sss", "bbb", "dddddd"]
    with pytest.raises(ConfigurationError, match="max_tokens_history: is 12, but this round .* needs 13 tokens"):
        history.sending([user_msg("d" * 7)])
    assert len(history) == 4


def test_tokens_and_tools():
    """Calls stay with their results; those that the new results belong to are sent with them or not at all."""
    history = measured(8)
    history.add([user_msg("qq"), calls("a")])
    assert roles(history) == ["user", "assistant"]
    assert [each["role"] for each in history.sending([tool_msg("a", "12")])] == ["assistant", "tool"]
    with pytest.raises(ConfigurationError, match="needs 9 tokens"):
        history.sending([tool_msg("a", "1234")])
    history.add([tool_msg("a", "12"), assistant_msg("zz")])
    assert [each.get("content") for each in history.messages()] == []
    history.add([user_msg("q"), assistant_msg("zz")])
    assert roles(history) == ["user", "assistant"]


def test_both_bounds():
    """Whichever is reached first."""
    history = measured(10, most=2)
    history.add([user_msg("a"), assistant_msg("b"), user_msg("c"), assistant_msg("d")])
    assert [each["content"] for each in history.messages()] == ["c", "d"]
    assert [each["content"] for each in history.sending([user_msg("e" * 9)])] == ["e" * 9]


def test_max_tokens_history_in_a_chat(talk, way):
    """What is sent has room in the bound; a round that has none is refused before it is sent, and changes nothing."""
    here = talk(script=lambda request: "yes")
    chat = here.chat(max_tokens_history=60)
    for number in range(6):
        way.ask(chat, f"question {number} " + "word " * 4)
    sent = [len(payload["messages"]) for payload in here.asked]
    assert sent[:2] == [1, 3]
    assert max(sent) < 9
    assert {count % 2 for count in sent} == {1}
    assert all(payload["messages"][0]["role"] == "user" for payload in here.asked)
    before = chat.fetch_messages()
    with pytest.raises(ConfigurationError, match="max_tokens_history"):
        way.ask(chat, "word " * 100)
    assert chat.fetch_messages() == before
    assert len(here.asked) == 6
    assert way.ask(chat, "and now?") == "yes"
