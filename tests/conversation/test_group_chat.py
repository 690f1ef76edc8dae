"""GroupChat: roles that a model plays, and what it does with answers that are not what was asked for."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest

from stable_openai import ConfigurationError, GroupChat, KeyPool, MalformedAnswer
from stable_openai.simulator import SimKey

PLAN = [("苏轼", ["李清照"]), ("苏轼", ["杜甫"])]
ANSWER = '{"1": "最近我在写一首新的诗", "2": "已经写好啦, \\"茅屋\\"寄给你了"}'
WANTED = [
    {"speaker": "苏轼", "audiences": "李清照", "remark": "最近我在写一首新的诗"},
    {"speaker": "苏轼", "audiences": "杜甫", "remark": '已经写好啦, "茅屋"寄给你了'},
]


@pytest.fixture
def setting(openai_simulator):
    """A simulator that keeps what it was asked, and a group over its keys."""

    def make(*script, model="gpt-4o", secrets=("sk-group-0-0123456789",), **options):
        asked = []
        answers = iter(script)

        def answer(request):
            asked.append(request.payload)
            return next(answers)

        sim = openai_simulator(keys=[SimKey("sk-group-0-0123456789")], script=answer)
        group = GroupChat(api_key=list(secrets), model=model, base_url=sim.base_url, **options)
        group.roles["苏轼"] = "宋朝诗人, 他的词风格独特, 既有儒家的教诲, 又有生活的乐趣。"
        group.roles["李清照"] = "宋代著名的女词人, 其词句优美, 情感真挚。"
        group.roles["杜甫"] = "唐朝著名诗人。"
        return sim, group, asked

    return make


def asked_for(group, kind, plan=PLAN):
    """The answer by each of the four ways."""
    if kind == "request":
        return group.request(plan)
    if kind == "stream":
        return "".join(group.stream_request(plan))

    async def stream():
        return "".join([piece async for piece in group.async_stream_request(plan)])

    return asyncio.run(group.async_request(plan) if kind == "async" else stream())


KINDS = pytest.mark.parametrize("kind", ["request", "stream", "async", "async stream"])


@KINDS
def test_the_seeds_example(setting, kind):
    """The answer is JSON of who said what to whom, and becomes part of the conversation."""
    _, group, _ = setting(ANSWER)
    group.add_dialog(speaker="苏轼", audiences=["李清照"], remark="你好呀")
    group.add_dialog(speaker="李清照", audiences=["苏轼"], remark="好久不见, 你最近在忙什么?")
    assert json.loads(asked_for(group, kind)) == WANTED
    assert [dialog.remark for dialog in group.dialogs[2:]] == [entry["remark"] for entry in WANTED]


@KINDS
@pytest.mark.parametrize(
    "answer",
    [
        json.dumps(WANTED, ensure_ascii=False),
        f"```json\n{ANSWER}\n```",
        f"Here you are: {ANSWER} I hope that you like it.",
        json.dumps({"remarks": [entry["remark"] for entry in WANTED]}),
        json.dumps([entry["remark"] for entry in WANTED]),
        json.dumps({"2": WANTED[1]["remark"], "1": WANTED[0]["remark"]}),
    ],
)
def test_other_shapes_are_understood(setting, kind, answer):
    """Models wrap their answers, and choose forms of their own: one request is enough even so."""
    _, group, asked = setting(answer)
    assert json.loads(asked_for(group, kind)) == WANTED
    assert len(asked) == 1


WRONG = ["I would rather not.", "[]", '{"1": {"a"']
WRONG_LATE = ['{"1": "one of two"}', '{"1": "one", "2": " "}']  # in a stream, the first remark has left by then


@pytest.mark.parametrize(
    ("kind", "bad"),
    [(kind, bad) for kind in KINDS.args[1] for bad in WRONG + (WRONG_LATE if "stream" not in kind else [])],
)
def test_one_repair(setting, kind, bad):
    """An answer that can't be used is asked for once more, with what is wrong with it."""
    _, group, asked = setting(bad, ANSWER)
    assert json.loads(asked_for(group, kind)) == WANTED
    assert asked[1]["messages"][2:][0] == {"role": "assistant", "content": bad}
    assert "上面的回答无法使用" in asked[1]["messages"][-1]["content"]


@KINDS
def test_after_the_repair_it_is_an_error(setting, kind):
    """It has the answer with it, and the conversation is as it was."""
    _, group, asked = setting("no", "no again")
    with pytest.raises(MalformedAnswer, match="can't be used") as caught:
        asked_for(group, kind)
    assert caught.value.answer == "no again"
    assert (group.dialogs, len(asked)) == ([], 2)


@pytest.mark.parametrize("kind", ["stream", "async stream"])
def test_a_stream_that_goes_wrong_after_its_first_remark(setting, kind):
    """What has left can't be repaired."""
    _, group, _ = setting('{"1": "one of two"}')
    with pytest.raises(MalformedAnswer, match="1 remarks; 2 were asked for"):
        asked_for(group, kind)
    assert group.dialogs == []


def test_streams_show_remarks_as_they_come(setting):
    """Each as soon as it is complete; the pieces make up what `request` returns."""
    _, group, _ = setting(ANSWER, ANSWER)
    pieces = list(group.stream_request(PLAN))
    assert len(pieces) == 3
    assert "".join(pieces) == json.dumps(WANTED, ensure_ascii=False, indent=4)
    assert group.request(PLAN) == "".join(pieces)


def test_several_listeners_are_a_list(setting):
    """One is named alone, as the seed has it."""
    _, group, _ = setting('{"1": "Hello, both of you."}')
    answer = json.loads(group.request([("杜甫", ["苏轼", "李清照"])]))
    assert answer == [{"speaker": "杜甫", "audiences": ["苏轼", "李清照"], "remark": "Hello, both of you."}]


def test_a_schema_where_the_model_takes_one(setting):
    """Structured outputs leave it no choice but to answer each remark."""
    _, group, asked = setting(ANSWER)
    group.request(PLAN)
    schema = asked[0]["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["required"] == ["1", "2"]
    assert schema["schema"]["properties"]["2"]["description"] == "苏轼 → 杜甫"


@pytest.mark.parametrize("model", ["gpt-3.5-turbo", "gpt-4", "gpt-4-turbo"])
def test_a_prompt_where_it_is_known_to_take_none(setting, model):
    """Models from before structured outputs are asked by the prompt alone."""
    _, group, asked = setting(ANSWER, model=model)
    group.request(PLAN)
    assert "response_format" not in asked[0]


@KINDS
def test_a_model_that_refuses_the_schema_is_asked_without(setting, kind, monkeypatch):
    """Once; from then on it is asked without, in this group."""
    _, group, asked = setting(ANSWER, ANSWER, model="some-other-model")
    for completions, is_async in (
        (openai.resources.chat.completions.Completions, False),
        (openai.resources.chat.completions.AsyncCompletions, True),
    ):
        _refuse_schemas(monkeypatch, completions, is_async=is_async)
    assert json.loads(asked_for(group, kind)) == WANTED
    assert json.loads(asked_for(group, kind)) == WANTED
    assert ["response_format" in payload for payload in asked] == [False, False]


def _refuse_schemas(monkeypatch, completions, *, is_async):
    create = completions.create

    def refuse(self, **options):
        if "response_format" in options:
            raise openai.OpenAIError("'response_format' of type 'json_schema' is not supported with this model")
        return create(self, **options)

    async def arefuse(self, **options):
        return await refuse(self, **options)

    monkeypatch.setattr(completions, "create", arefuse if is_async else refuse)


def test_the_prompt_is_in_the_language_of_the_roles(setting):
    """Chinese roles are told of in Chinese, others in English, with what was said and who is to speak."""
    _, group, asked = setting(ANSWER, '{"1": "Ahoy!"}')
    group.add_dialog("杜甫", "苏轼", "写好了吗?")
    group.request(PLAN)
    system, user = asked[0]["messages"]
    assert "你为一场对话撰写台词" in system["content"]
    assert "- 杜甫: 唐朝著名诗人。" in system["content"]
    assert "杜甫对苏轼: 写好了吗?" in user["content"]
    assert "2. 苏轼对杜甫" in user["content"]
    english = GroupChat(api_key="sk-group-0-0123456789", model="gpt-4o", base_url=_base_url(group))
    english.roles.update(Ann="a sailor, who once met 杜甫", Bob="her parrot")
    english.request([("Ann", ["Bob"])])
    assert "You write the dialogue of a scene" in asked[1]["messages"][0]["content"]
    assert "1. Ann to Bob" in asked[1]["messages"][1]["content"]


def _base_url(group):
    return str(group._clients.sync.base_url)


def test_it_fails_over_like_everything_else(setting):
    """A dead key costs nothing but its attempt."""
    _, group, _ = setting(ANSWER, secrets=("sk-group-dead-0123456789", "sk-group-0-0123456789"))
    assert json.loads(group.request(PLAN)) == WANTED


def test_state_is_each_objects_own(setting):
    """Roles and dialogs of one group are not another's."""
    _, one, _ = setting()
    two = GroupChat(api_key="sk-group-0-0123456789", model="gpt-4o")
    assert (two.roles, two.dialogs) == ({}, [])
    one.dialogs.append("mine")
    assert one.dialogs == []


def test_the_oldest_dialogs_are_forgotten(setting):
    """`MsgMaxCount` counts dialogs."""
    _, group, _ = setting(ANSWER, MsgMaxCount=3)
    group.add_dialog("杜甫", ["苏轼"], "一")
    group.add_dialog("杜甫", ["苏轼"], "二")
    group.request(PLAN)
    assert [dialog.remark for dialog in group.dialogs] == ["二", *[entry["remark"] for entry in WANTED]]


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ([], "plan: is empty"),
        ([("苏轼",)], r"plan\[0\]: must be a speaker"),
        (["苏轼"], r"plan\[0\]: must be a speaker"),
        ([("苏轼", [])], "does not say whom"),
        ([("苏轼", ["李清照"]), ("李白", ["杜甫"])], r"plan\[1\]: '李白' is no role; known are 苏轼, 李清照, 杜甫"),
    ],
)
def test_a_wrong_plan_is_told_at_once(setting, plan, told):
    """Before anything is sent, and before a stream is begun."""
    _, group, asked = setting()
    for ask in (group.request, group.stream_request, group.async_stream_request):
        with pytest.raises(ConfigurationError, match=told):
            ask(plan)
    assert asked == []


def test_other_wrong_arguments():
    """Each is told where it is given."""
    group = GroupChat(api_key="sk-group-0-0123456789")
    group.roles["Ann"] = "a sailor"
    with pytest.raises(ConfigurationError, match="model"):
        group.request([("Ann", ["Ann"])])
    with pytest.raises(ConfigurationError, match="remark"):
        group.add_dialog("Ann", ["Ann"], " ")
    with pytest.raises(ConfigurationError, match="MsgMaxCount"):
        GroupChat(MsgMaxCount=0)
    with pytest.raises(ConfigurationError, match="response_format"):
        GroupChat(response_format={})
    with pytest.raises(ConfigurationError, match="nonsense"):
        group.request([("Ann", ["Ann"])], nonsense=1)


async def test_a_stream_that_is_left(setting):
    """The next request has its turn; nothing of what was left is kept."""
    _, group, _ = setting(ANSWER, ANSWER)
    async for piece in group.async_stream_request(PLAN):
        assert piece.startswith("[")
        break
    assert json.loads(await group.async_request(PLAN)) == WANTED
    assert len(group.dialogs) == 2


def test_options_of_the_client_and_other_keys(setting):
    """Per request as per object; a pool that it was made with gives way to another key."""
    sim, group, _ = setting(ANSWER, ANSWER)
    with KeyPool(["sk-group-dead-0123456789"]) as pool:
        other = GroupChat(pool=pool, model="gpt-4o", base_url=sim.base_url)
    other.roles.update(group.roles)
    other.reset_api_key("sk-group-0-0123456789")
    assert json.loads(other.request(PLAN, max_retries=0, timeout=20)) == WANTED
