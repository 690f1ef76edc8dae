"""``ChatSetup``: settings of the class, of one manager; what is wrong is refused where it is assigned."""

from __future__ import annotations

import pytest

from stable_openai import ChatManager, ChatSetup, ConfigurationError
from stable_openai.conversation.manager.setup import OPENAI


def test_the_class_holds_for_all_and_a_manager_for_itself():
    """At any time: what a manager does not set, it has from the class."""
    one, other = ChatManager(model="gpt-4o"), ChatManager()
    ChatSetup.model = "o3"
    assert (one.setup.model, other.setup.model) == ("gpt-4o", "o3")
    other.setup.timeout = 5
    assert (other.setup.timeout, one.setup.timeout, ChatSetup.timeout) == (5.0, None, None)
    del one.setup.model
    assert one.setup.model == "o3"
    ChatSetup.reset()
    assert one.setup.model == "gpt-4o-mini"


def test_what_clients_are_made_with():
    """Nothing where nothing is set; openai's own address is what the environment may replace."""
    ChatSetup.api_base = OPENAI
    assert ChatSetup().client_options() == {}
    setup = ChatSetup(api_base="https://example.org/v1", timeout=9, max_retries=0, max_wait=1, total_timeout=60)
    assert setup.client_options() == {
        "base_url": "https://example.org/v1", "timeout": 9.0, "max_retries": 0, "max_wait": 1.0, "total_timeout": 60.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("modle", "gpt-4o", "modle: is no setting of ChatSetup: did you mean model[?] Known are api_base, model"),
        ("api_base", "example.org", "api_base: must be a URL such as"),
        ("api_base", None, "api_base: must be a URL such as"),
        ("model", "", "model: must be the name of a model"),
        ("model", None, "model: must be the name of a model"),
        ("timeout", -1, "timeout: must be a number of seconds"),
        ("max_wait", "long", "max_wait: must be a number of seconds"),
        ("max_retries", -1, "max_retries: must be a whole number from 0 up"),
        ("max_tokens", 0, "max_tokens: must be a whole number from 1 up"),
        ("thread_num", 0, "thread_num: must be a whole number from 1 up"),
        ("thread_num", None, "thread_num: must be a whole number from 1 up"),
        ("max_pairs", 1.5, "max_pairs: must be a whole number from 1 up"),
        ("temperature", "hot", "temperature: must be a number"),
        ("options", "seed=7", "options: must be a mapping"),
        ("options", {"sed": 7}, "sed: is no parameter of"),
        ("progress", "yes", "progress: must be True or False"),
    ],
)
def test_what_is_wrong_is_refused_at_once(name, value, wanted):
    """Of the class and of a manager alike; all stays as it was."""
    before = {each: getattr(ChatSetup, each) for each in ChatSetup.__annotations__}
    with pytest.raises(ConfigurationError, match=f"^{wanted}"):
        setattr(ChatSetup, name, value)
    with pytest.raises(ConfigurationError, match=f"^{wanted}"):
        ChatManager(**{name: value})
    assert {each: getattr(ChatSetup, each) for each in before} == before


def test_a_setting_of_the_class_can_not_be_deleted():
    """It says what to assign."""
    with pytest.raises(ConfigurationError, match="^model: can't be deleted: assign the default, model = 'gpt-4o-mini'"):
        del ChatSetup.model


def test_what_is_not_set_is_none():
    """And may be None again."""
    ChatSetup.temperature = 0.5
    ChatSetup.temperature = None
    assert ChatSetup().request_options({}) == {"model": "gpt-4o-mini"}
    assert repr(ChatSetup()) == f"<ChatSetup api_base={OPENAI!r}, model='gpt-4o-mini', thread_num=5>"
