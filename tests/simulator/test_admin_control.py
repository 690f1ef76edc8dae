"""The admin API's pages, and controls as JSON."""

import pytest

from stable_openai.simulator import Provider, Request, SimKey, SimOwner
from stable_openai.simulator.admin import UNLIMITED, answer_admin
from stable_openai.simulator.control import control

ADMIN = "sk-admin-sim"


@pytest.fixture
def provider():
    owner = SimOwner("lab", rpm=10, tpm=100, model_limits={"m2": {"rpm": 5, "rpd": 50}})
    return Provider(
        [SimKey("a", owner="lab"), SimKey("b", name="solo", rpd=7)], [owner], admin_key=ADMIN, models=["m1", "m2"]
    )


def get(provider, path, secret=ADMIN, **query):
    return answer_admin(provider, path, secret, query)


def test_limits_by_model(provider):
    """A model's own limits come before those for all; fields of no limit are absent or boundless."""
    status, page = get(provider, "organization/projects/proj_lab/rate_limits")
    assert status == 200
    assert page == {
        "object": "list",
        "data": [
            {
                "object": "project.rate_limit",
                "id": "rl-m1",
                "model": "m1",
                "max_requests_per_1_minute": 10,
                "max_tokens_per_1_minute": 100,
                "batch_1_day_max_input_tokens": 1000,
            },
            {
                "object": "project.rate_limit",
                "id": "rl-m2",
                "model": "m2",
                "max_requests_per_1_minute": 5,
                "max_tokens_per_1_minute": 100,
                "max_requests_per_1_day": 50,
                "batch_1_day_max_input_tokens": 1000,
            },
        ],
        "first_id": "rl-m1",
        "last_id": "rl-m2",
        "has_more": False,
    }
    solo = get(provider, "organization/projects/proj_solo/rate_limits")[1]["data"]
    assert [(row["max_requests_per_1_day"], row["max_requests_per_1_minute"]) for row in solo] == [(7, UNLIMITED)] * 2


def test_projects_and_pages(provider):
    """Cursors go forth and back."""
    path = "organization/projects"
    first = get(provider, path, limit="1")[1]
    assert (first["last_id"], first["has_more"]) == ("proj_lab", True)
    second = get(provider, path, limit="1", after="proj_lab")[1]
    assert ([row["name"] for row in second["data"]], second["has_more"]) == (["solo"], False)
    assert get(provider, path, limit="1", before="proj_solo")[1]["data"] == first["data"]
    end = get(provider, path, after="proj_solo")[1]
    assert (end["data"], end["first_id"], end["last_id"]) == ([], None, None)
    assert get(provider, f"{path}/proj_lab")[1]["object"] == "organization.project"


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("organization/projects/proj_x/rate_limits", {}, 404),
        ("organization/projects/proj_x", {}, 404),
        ("organization/users", {}, 404),
        ("organization/projects", {"limit": "0"}, 400),
        ("organization/projects", {"limit": "many"}, 400),
        ("organization/projects", {"after": "nobody"}, 400),
    ],
)
def test_what_is_not_there(provider, path, query, status):
    """Errors in the provider's shape."""
    answered, body = get(provider, path, **query)
    assert answered == status
    assert body["error"]["message"]


def test_only_the_admin_key_opens_it(provider):
    """Neither another key nor an unset one."""
    assert get(provider, "organization/projects", secret="a")[0] == 401
    assert get(Provider(["a"]), "organization/projects", secret="")[0] == 401


def test_controls(provider):
    """What a test in another process can do."""
    assert control(provider, {"action": "outage", "kind": "503"}) is None
    assert provider.reply(Request("a"), 0.0).status == 503
    assert control(provider, {"action": "recover"}) is None
    assert control(provider, {"action": "set_state", "key": "solo", "state": "dead"}) is None
    assert provider.reply(Request("b", model="m1"), 0.0).status == 401
    assert control(provider, {"action": "change_key", "key": "solo", "state": "ok", "latency_s": [1, 2]}) is None
    assert 1 <= provider.reply(Request("b", model="m1"), 0.0).latency_s <= 2
    assert control(provider, {"action": "change_owner", "name": "lab", "rpm": 1}) is None
    assert control(provider, {"action": "tune", "server_error_rate": 1.0}) is None
    assert provider.reply(Request("a", model="m1"), 0.0).status == 500
    assert control(provider, {"action": "reset_stats"}) is None
    assert provider.stats().total.attempts == 0


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([], "must be a JSON object"),
        ({}, "action must be one of outage"),
        ({"action": "__init__"}, "action must be one of outage"),
        ({"action": "outage"}, "outage needs kind"),
        ({"action": "recover", "x": 1}, "recover takes no 'x'"),
        ({"action": "outage", "kind": "flood"}, "kind of outage must be one of"),
        ({"action": "pay", "key": "zzz"}, "no key has this name"),
        ({"action": "pay", "key": {}}, "unhashable"),
        ({"action": "change_key", "key": "solo", "rpm": "x"}, "rpm of key 'solo' must be a whole number"),
        ({"action": "tune", "minute": 1}, "'minute' cannot be changed"),
    ],
)
def test_bad_controls_say_what_is_wrong(provider, payload, message):
    """The answer is words, not a broken simulator."""
    assert message in control(provider, payload)
