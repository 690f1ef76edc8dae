"""Settings are refused with the name of the field, never with a secret; files make settings."""

import sys

import pytest

from stable_openai.simulator import (
    Provider,
    Request,
    Settings,
    SimKey,
    SimLimits,
    SimOwner,
    demo_keys,
    equal_keys,
    settings_from_mapping,
    settings_from_toml,
    shared_keys,
)

BAD_KEYS = [
    ({"secret": ""}, "secret of a key must be printable"),
    ({"secret": "with blank"}, "secret of a key must be printable"),
    ({"secret": "zwölf"}, "secret of a key must be printable"),
    ({"secret": "new\nline"}, "secret of a key must be printable"),
    ({"secret": 3}, "secret of a key must be a string"),
    ({"secret": "a", "name": ""}, "name of key '' must not be empty"),
    ({"secret": "a", "owner": 3}, "owner of a key must be a string"),
    ({"secret": "a", "name": "n", "rpm": 0}, "rpm of key 'n' must be at least 1"),
    ({"secret": "a", "tpm": 1.5}, "tpm of a key must be a whole number"),
    ({"secret": "a", "rpd": True}, "rpd of a key must be a whole number"),
    ({"secret": "a", "quota_requests": -1}, "quota_requests of a key must be at least 1"),
    ({"secret": "a", "state": "ill"}, "state of a key must be one of 'ok'"),
    ({"secret": "a", "latency_s": -1}, "latency_s of a key must not be negative"),
    ({"secret": "a", "latency_s": (2, 1)}, "latency_s of a key: low 2 is above high 1"),
    ({"secret": "a", "latency_s": (1, 2, 3)}, "latency_s of a key must be seconds or a pair"),
    ({"secret": "a", "latency_s": float("nan")}, "latency_s of a key must be finite"),
    ({"secret": "a", "models": "gpt"}, "models of a key must be a list of strings"),
    ({"secret": "a", "models": [""]}, "each of models of a key must not be empty"),
    ({"secret": "a", "model_limits": {"m": {"rpx": 1}}}, r"model_limits\['m'\] of a key has no field 'rpx'"),
    ({"secret": "a", "model_limits": {"m": {"rpm": 0}}}, r"rpm of model_limits\['m'\] of a key must be at least 1"),
    ({"secret": "a", "model_limits": {"m": 3}}, r"model_limits\['m'\] of a key must be a mapping"),
    ({"secret": "a", "model_limits": 3}, "model_limits of a key must map"),
]


@pytest.mark.parametrize(("fields", "message"), BAD_KEYS)
def test_bad_keys_are_refused(fields, message):
    """The error names the field."""
    with pytest.raises((TypeError, ValueError), match=message):
        SimKey(**fields)


BAD_SETTINGS = [
    ({"algorithm": "leaky"}, "algorithm must be one of 'sliding', 'bucket'"),
    ({"style": "other"}, "style must be one of"),
    ({"retry_after": 1}, "retry_after must be one of True, False, 'header', 'text'"),
    ({"limit_headers": "no"}, "limit_headers must be one of True, False"),
    ({"minute": 0}, "minute must be above 0"),
    ({"minute": "60"}, "minute must be a number"),
    ({"minute": 60, "day": 1}, "day .* must not be shorter than minute"),
    ({"day_reset_hour": 25}, "day_reset_hour must be at most 24"),
    ({"by_second": 2}, "by_second must be at most 1"),
    ({"reset_rate": -0.1}, "reset_rate must not be negative"),
    ({"reset_rate": 0.6, "hang_rate": 0.6}, "the sum of server_error_rate"),
    ({"seed": 1.5}, "seed must be a whole number"),
    ({"log_length": 0}, "log_length must be at least 1"),
    ({"models": [3]}, "each of models must be a string"),
    ({"script": []}, "script must have at least one answer"),
    ({"script": [3]}, "each of script must be a string"),
    ({"poison": ""}, "poison must not be empty"),
    ({"admin_key": "a b"}, "admin_key must be printable"),
]


@pytest.mark.parametrize(("settings", "message"), BAD_SETTINGS)
def test_bad_settings_are_refused(settings, message):
    """The error names the field."""
    with pytest.raises((TypeError, ValueError), match=message):
        Provider(**settings)


def test_unknown_settings_are_refused():
    """A misspelt setting is no silent default."""
    with pytest.raises(TypeError, match="no setting 'minutes'"):
        Provider(minutes=2)


def test_secrets_are_not_shown():
    """Not in a repr, nor in an error."""
    secret = "sk-sim-very-secret-indeed"
    assert secret not in repr(SimKey(secret))
    assert secret not in repr(Settings(admin_key=secret))
    with pytest.raises(ValueError, match="printable") as caught:
        SimKey(f"{secret} ")
    assert secret not in str(caught.value)


def test_limits_may_be_mappings_or_objects():
    """Both forms of a model's limits are the same."""
    assert SimKey("a", model_limits={"m": {"rpm": 1}}) == SimKey("a", model_limits={"m": SimLimits(rpm=1)})


TOML = """
style = "groq"
minute = 2.0
latency_s = [0.1, 0.2]
port = 8080
owners = ["bare"]

[[keys]]
secret = "sk-sim-a"
name = "a"
owner = "lab"
rpm = 3
models = ["m"]
latency_s = [1, 2]
[keys.model_limits."gpt-4o"]
tpm = 10

[[keys]]
secret = "sk-sim-b"
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with 3.11; the mapping tests cover the rest")
def test_a_file_describes_a_simulator(tmp_path):
    """TOML gives what Simulator takes."""
    path = tmp_path / "sim.toml"
    path.write_text(TOML)
    told = settings_from_toml(path)
    assert told == {
        "keys": [
            SimKey(
                "sk-sim-a",
                name="a",
                owner="lab",
                rpm=3,
                models=("m",),
                latency_s=(1, 2),
                model_limits={"gpt-4o": {"tpm": 10}},
            ),
            SimKey("sk-sim-b"),
        ],
        "owners": [SimOwner("bare")],
        "port": 8080,
        "style": "groq",
        "minute": 2.0,
        "latency_s": (0.1, 0.2),
    }
    path.write_text("minute = ")
    with pytest.raises(ValueError, match=r"sim.toml is no valid TOML"):
        settings_from_toml(path)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"minuet": 2}, "unknown setting 'minuet'"),
        ({"minute": 0}, "minute must be above 0"),
        ({"keys": {}}, r"keys must be a list, as \[\[keys\]\] makes it"),
        ({"keys": [3]}, r"keys\[1\] must be a table or a string"),
        ({"keys": ["a", {"rpm": 1}]}, r"keys\[2\] has no secret"),
        ({"keys": [{"secret": "a", "rpx": 1}]}, r"keys\[1\] has an unknown field 'rpx'"),
        ({"keys": [{"secret": "a", "rpm": 0}]}, r"keys\[1\]: rpm of a key must be at least 1"),
        ({"keys": ["a", "a"]}, "the secret of key 'key-2' is that of key 'key-1'"),
        ({"owners": [{}]}, r"owners\[1\] has no name"),
    ],
)
def test_bad_files_are_refused(told, message):
    """The error names the place and the field."""
    with pytest.raises((TypeError, ValueError), match=message):
        settings_from_mapping(told)


def test_presets():
    """The demo's keys behave as they are named; the others are alike or share owners."""
    keys = demo_keys(1)
    assert keys == demo_keys(1)
    assert keys != demo_keys(2)
    provider = Provider(keys)
    outcomes = {k.name: provider.reply(Request(k.secret), 0.0).outcome for k in keys}
    assert outcomes == {"dead": "dead", "unpaid": "unpaid"} | dict.fromkeys(
        ("slow", "limited-1", "limited-2", "limited-3"), "served"
    )
    assert all(k.secret.startswith("sk-sim-") for k in keys)
    assert [k.name for k in equal_keys(3, rpm=5)] == ["key-1", "key-2", "key-3"]
    shared, owners = shared_keys(2, 3, rpm=7)
    assert len({k.secret for k in shared}) == 6
    assert [o.rpm for o in owners] == [7, 7]
    assert {k.owner for k in shared} == {"org-1", "org-2"}
