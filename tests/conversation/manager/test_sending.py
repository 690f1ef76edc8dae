"""``send``: one message or many, the order of the answers, what fails, and what it costs nobody else."""

from __future__ import annotations

import contextvars
import logging
import pickle
import threading

import openai
import pytest

from stable_openai import (
    ChatManager,
    ChatMessage,
    ChatResponse,
    ChatSetup,
    ConfigurationError,
    KeyManager,
    KeyPool,
    NoKeyAvailable,
)
from stable_openai.conversation.manager.asking import Asker
from stable_openai.simulator import SimKey


def texts(responses):
    return [None if response is None else response.get_msg() for response in responses]


# -- one


def test_one_message(office, said):
    """Its answer, with all that is known of it; and the pair in the session."""
    setting = office("a")
    message = said("hello")
    response = setting.cm.send(message)
    assert isinstance(response, ChatResponse)
    assert response.get_msg() == str(response) == "You said: hello"
    assert response.message == {"role": "assistant", "content": "You said: hello"}
    assert (response.model, response.finish_reason, response.choice_num()) == ("gpt-4o-mini", "stop", 1)
    assert response.usage.total_tokens == response.token_usage() > response.token_usage("prompt_tokens") > 0
    assert (response.key_name, response.masked_key) == ("a", "sk-…6789")
    assert response.latency_s >= 0
    assert response.id.startswith("chatcmpl-")
    assert response.created > 0
    assert setting.cm.get_session().pairs == [(message, response)]
    assert setting.cm.response_errors == {}


def test_a_response_pickles(office, said):
    """To be kept, or sent to another process."""
    response = office("a").cm.send(said("hello"))
    again = pickle.loads(pickle.dumps(response))
    assert again.response == response.response
    assert (again.get_msg(), again.message, again.key_name) == (response.get_msg(), response.message, "a")
    assert b"0123456789" not in pickle.dumps(response)


def test_several_choices(office, said):
    """``n`` answers, by their number; there is no other."""
    response = office("a").cm.send(said("hello"), n=3)
    assert response.choice_num() == 3
    assert response.get_msg(2) == response.get_choice(2).message.content == "You said: hello"
    for wrong in (3, -1):
        with pytest.raises(IndexError, match="there are 3, from 0"):
            response.get_msg(wrong)
    with pytest.raises(ConfigurationError, match="^kind: must be one of total_tokens"):
        response.token_usage("tokens")


def test_options_of_one_send(office, said):
    """They come before the manager's, which come before the class's."""
    setting = office("a", model="gpt-4o", temperature=0.5)
    ChatSetup.max_tokens = 50
    ChatSetup.options = {"seed": 7, "user": "lab"}
    setting.cm.send(said("one"))
    setting.cm.send(said("two"), model="o3", seed=8, temperature=1)
    first, second = setting.asked
    wanted = {"model": "gpt-4o", "temperature": 0.5, "max_tokens": 50, "seed": 7, "user": "lab"}
    assert {name: first[name] for name in wanted} == wanted
    wanted |= {"model": "o3", "seed": 8, "temperature": 1}
    assert {name: second[name] for name in wanted} == wanted


def test_a_pydantic_model_as_response_format(office, said):
    """It goes out as the schema that it stands for; the answer is JSON."""
    pydantic = pytest.importorskip("pydantic")
    step = pydantic.create_model("Step", text=(str, ...))
    setting = office("a", script=lambda _: '{"text": "on"}')
    response = setting.cm.send(said("next?"), response_format=step)
    assert setting.asked[0]["response_format"]["json_schema"]["name"] == "Step"
    assert step.model_validate_json(response.get_msg()).text == "on"


# -- many


def test_answers_come_in_the_order_of_the_messages(office, said, monkeypatch):
    """Whichever comes first: here the last message is answered first. The session has them in order, too."""
    setting = office("a")
    gates = [threading.Event() for _ in range(4)]
    gates[3].set()
    ask = Asker.ask

    def ask_in_reverse(asker, message):
        number = int(message[0]["content"])
        assert gates[number].wait(30)
        response = ask(asker, message)
        if number:
            gates[number - 1].set()
        return response

    monkeypatch.setattr(Asker, "ask", ask_in_reverse)
    responses = setting.cm.send(said("0", "1", "2", "3"), thread_num=4)
    assert texts(responses) == [f"You said: {number}" for number in range(4)]
    assert [body["messages"][0]["content"] for body in setting.asked] == ["3", "2", "1", "0"]
    assert [message[0]["content"] for message, _ in setting.cm.get_session()] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(("thread_num", "wanted"), [(3, 3), (50, 6)])
def test_thread_num_bounds_what_is_under_way(office, said, monkeypatch, thread_num, wanted):
    """As many at once as told, no more; nor more than there are messages."""
    setting = office("a")
    together, lock = threading.Barrier(wanted, timeout=30), threading.Lock()
    running, most = 0, 0

    def ask(asker, message):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()
        with lock:
            running -= 1
        raise ValueError("no")

    monkeypatch.setattr(Asker, "ask", ask)
    assert setting.cm.send(said(*"123456"), thread_num=thread_num) == [None] * 6
    assert most == wanted


def test_thread_num_by_default(office, said, monkeypatch):
    """``ChatSetup.thread_num``."""
    setting = office("a")
    ChatSetup.thread_num = 2
    together, threads = threading.Barrier(2, timeout=30), set()

    def ask(asker, message):
        threads.add(threading.current_thread())
        together.wait()
        raise ValueError("no")

    monkeypatch.setattr(Asker, "ask", ask)
    setting.cm.send(said("1", "2", "3", "4"))
    assert len(threads) == 2


def test_each_message_is_sent_as_it_is_when_send_is_called(office, said, monkeypatch):
    """One object ten times, which somebody changes meanwhile: ten times what it was; and in the session as well."""
    setting = office("a")
    message = said("hello")
    ask = Asker.ask

    def ask_and_change(asker, prompt):
        message.push_user("changed")
        return ask(asker, prompt)

    monkeypatch.setattr(Asker, "ask", ask_and_change)
    setting.cm.send([message] * 10, thread_num=3)
    assert [body["messages"] for body in setting.asked] == [[{"role": "user", "content": "hello"}]] * 10
    pairs = setting.cm.get_session().pairs
    pairs[0][0].push_user("mine")
    assert {len(each) for each, _ in setting.cm.get_session()} == {1, 2}


def test_any_iterable_will_do(office, said):
    """A generator, a tuple; none at all."""
    cm = office("a").cm
    assert texts(cm.send(message for message in said("1", "2"))) == ["You said: 1", "You said: 2"]
    assert texts(cm.send(tuple(said("1", "2")))) == ["You said: 1", "You said: 2"]
    assert cm.send([]) == []


def test_threads_see_the_context(office, said, monkeypatch):
    """What tracing keeps in context variables is there in each thread."""
    variable = contextvars.ContextVar("variable", default="outside")
    setting = office("a")
    seen = []
    monkeypatch.setattr(Asker, "ask", lambda asker, message: seen.append(variable.get()))
    variable.set("inside")
    setting.cm.send(said("1", "2", "3"), thread_num=3)
    assert seen == ["inside"] * 3


# -- what fails


def test_failures_leave_none_and_are_kept(office, said, caplog):
    """The others are answered; the exception is the provider's own; the log has a line for each."""
    setting = office("a", settings={"context_length": 40})
    messages = said("short", "much too long " * 20, "brief")
    messages.insert(1, ChatMessage())
    with caplog.at_level(logging.WARNING, "stable_openai"):
        responses = setting.cm.send(messages, thread_num=2)
    assert texts(responses) == ["You said: short", None, None, "You said: brief"]
    errors = setting.cm.response_errors
    assert list(errors) == [1, 2]
    assert isinstance(errors[1], ConfigurationError)
    assert str(errors[1]).startswith("message: is empty: push_user(")
    assert isinstance(errors[2], openai.BadRequestError)
    lines = sorted(record.getMessage() for record in caplog.records)
    assert lines[0].startswith("message 2 of 4 got no answer: ConfigurationError: message: is empty")
    assert lines[1].startswith("message 3 of 4 got no answer: context_length: ")
    assert len(setting.cm.get_session()) == 2


def test_one_that_fails(office, said):
    """None, and the exception under 0; the next send forgets it."""
    setting = office("a", settings={"context_length": 40})
    assert setting.cm.send(said("much too long " * 20)) is None
    assert isinstance(setting.cm.response_errors[0], openai.BadRequestError)
    assert setting.cm.send(said("short"))
    assert setting.cm.response_errors == {}


def test_failures_can_be_sent_again(office, said):
    """By their indexes."""
    setting = office("a", settings={"context_length": 40})
    messages = said("short", "much too long " * 20)
    setting.cm.send(messages)
    again = [messages[index] for index in setting.cm.response_errors]
    assert again == messages[1:]


def test_what_is_kept_of_an_exception_holds_no_prompts(office, said):
    """Its frames are emptied, those of its causes too: a crawl of many failures does not fill the memory."""
    setting = office("a", settings={"context_length": 40})
    setting.cm.send(said("much too long " * 20))
    link, held = setting.cm.response_errors[0], []
    while link is not None:
        trace = link.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_name != "answer":
                held += trace.tb_frame.f_locals
            trace = trace.tb_next
        link = link.__cause__ or link.__context__
    assert held == []


def test_a_key_that_fails_costs_nothing(office, said):
    """The next one answers; the dead one is retired."""
    setting = office(("dead", {"state": "dead"}), "good")
    responses = setting.cm.send(said(*"12345"), thread_num=2)
    assert {response.key_name for response in responses} == {"good"}
    assert setting.cm.response_errors == {}
    assert {row.name: row.standing for row in setting.cm.keys.pool.status()} == {"dead": "retired", "good": "open"}


def test_all_keys_dead(office, said):
    """What the provider said stands in the errors, and no secret in the log (see tests/conftest.py)."""
    setting = office(("one", {"state": "dead"}), ("two", {"state": "dead"}))
    assert setting.cm.send(said("1", "2"), thread_num=1) == [None, None]
    first, second = setting.cm.response_errors.values()
    assert isinstance(first, openai.AuthenticationError)
    assert isinstance(second, NoKeyAvailable)
    assert setting.cm.export_session() == "[]"


def test_an_answer_that_is_none(office, said):
    """A 200 with a page in it: an error like any other."""
    setting = office("a", settings={"garbage_rate": 1.0}, max_retries=0)
    assert setting.cm.send(said("hello")) is None
    assert 0 in setting.cm.response_errors


# -- what is wrong with the call itself


def test_without_a_session(office, said):
    """It says what to do; nothing is sent."""
    setting = office("a", session=None)
    for message in (said("hello"), said("1", "2")):
        with pytest.raises(ConfigurationError, match=r'^session: is not set: call cm.set_session\("session1"\) first'):
            setting.cm.send(message)
    assert setting.asked == []


@pytest.mark.parametrize(
    ("message", "options", "wanted"),
    [
        ("hello", {}, "msg: must be a ChatMessage or a list of them, not str"),
        (5, {}, "msg: must be a ChatMessage or a list of them, not int"),
        ({"role": "user", "content": "hello"}, {}, "msg: must be a ChatMessage or a list of them, not dict"),
        (["hello"], {}, r"msg\[0\]: must be a ChatMessage, not str: ChatMessage.from_list"),
        ([], {"thread_num": 0}, "thread_num: must be a whole number from 1 up, not 0"),
        ([], {"thread_num": True}, "thread_num: must be a whole number from 1 up, not True"),
        ([], {"temprature": 1}, "temprature: is no parameter of"),
        ([], {"stream": True}, "stream: is the conversation's own business"),
        ([], {"progress": "yes"}, "progress: must be True, False, or what is called"),
    ],
)
def test_wrong_arguments(office, message, options, wanted):
    """They are named at once; nothing is sent."""
    setting = office("a")
    with pytest.raises(ConfigurationError, match=f"^{wanted}"):
        setting.cm.send(message, **options)
    assert setting.asked == []


def test_a_full_session_refuses_before_anything_is_sent(office, said):
    """Nothing that was paid for is lost; what failed takes no room."""
    setting = office("a", max_pairs=3, settings={"context_length": 40})
    setting.cm.send(said("1", "2"))
    setting.cm.send(said("much too long " * 20))
    with pytest.raises(ConfigurationError, match=r"^max_pairs: is 3, and the session 'session1' holds 2: .* 2 more"):
        setting.cm.send(said("3", "4"))
    setting.cm.send(said("3"))
    assert len(setting.asked) == 3
    with pytest.raises(ConfigurationError, match="^max_pairs: "):
        setting.cm.send(said("4"))
    assert len(setting.cm.get_session().clear()) == 3
    assert setting.cm.send(said("4"))


# -- keys from elsewhere


def test_the_process_wide_pool_where_no_key_was_added(openai_simulator, said):
    """The ``KeyManager``'s, where there is one."""
    sim = openai_simulator(keys=[SimKey("sk-manager-env-0123456789", name="env")])
    KeyManager(["sk-manager-env-0123456789"])
    cm = ChatManager(api_base=sim.base_url)
    cm.set_session("s")
    assert cm.send(said("hello")).key_name == "key-1"
    assert KeyManager().status()[0].uses == 1


def test_the_environment_where_no_key_was_added(openai_simulator, said, monkeypatch):
    """One key there is enough; so is its address."""
    sim = openai_simulator(keys=["sk-manager-env-0123456789"])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-manager-env-0123456789")
    monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
    cm = ChatManager()
    cm.set_session("s")
    assert cm.send(said("hello")).get_msg() == "You said: hello"


def test_no_key_anywhere(said):
    """It says what to do."""
    cm = ChatManager()
    cm.set_session("s")
    with pytest.raises(
        ConfigurationError, match=r"^keys: there are none: .*OPENAI_API_KEY; or cm.add_key\(name, secret\)"
    ):
        cm.send(said("hello"))


def test_a_pool_or_a_list_of_ones_own(openai_simulator, said, secret):
    """As ``Chat`` takes them."""
    sim = openai_simulator(keys=[secret("a"), secret("b")])
    pool = KeyPool([secret("a")])
    for keys in (pool, [secret("a")], secret("a")):
        cm = ChatManager(keys, api_base=sim.base_url)
        cm.set_session("s")
        assert cm.send(said("hello")).key_name == "key-1"
    cm = ChatManager(pool)
    cm.add_key("late", secret("b"))
    assert len(pool) == 2


def test_a_key_with_an_address_of_its_own(openai_simulator, said, secret):
    """Its messages go there."""
    here, there = openai_simulator(keys=[secret("a")]), openai_simulator(keys=[secret("b")])
    cm = ChatManager(api_base=here.base_url)
    cm.set_session("s")
    cm.add_key("a", secret("a"))
    cm.add_key("b", secret("b"), base_url=there.base_url)
    assert {response.key_name for response in cm.send(said("1", "2"), thread_num=1)} == {"a", "b"}
    assert (here.stats().total.served, there.stats().total.served) == (1, 1)


def test_several_threads_on_one_manager(office, said):
    """Nothing is lost, and nothing doubled; a session that is changed meanwhile gets what is sent after that."""
    setting = office("a", "b")
    threads = [
        threading.Thread(target=setting.cm.send, args=([said(f"{name}{number}") for number in range(5)],))
        for name in "xyz"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [message[0]["content"] for message, _ in setting.cm.get_session()]
    assert sorted(found) == sorted(f"{name}{number}" for name in "xyz" for number in range(5))
    assert all([each for each in found if each[0] == name] == [f"{name}{n}" for n in range(5)] for name in "xyz")
