"""`stable-openai status`: the keys of a pool as they are, and no claim about what can't be seen."""

from __future__ import annotations

import json

import pytest

from stable_openai import KeyPool
from tests.cli.conftest import KEYS


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text(
        f'[pool]\nstrategy = "least-used"\n[owners.lab]\nrpm = 900\n'
        f'[[keys]]\nsecret = "{KEYS[0]}"\nname = "one"\nowner = "lab"\n[keys.limits]\nrpm = 60\n'
        f'[[keys]]\nsecret = "{KEYS[1]}"\nname = "two"\n'
    )
    path.chmod(0o600)
    return path


def test_names_owners_states_and_limits(file, run):
    """Masked; and it says that other programs' counts are not in it."""
    result = run("status", "--pool", str(file))
    assert result.exit_code == 0
    assert f"2 keys from the file {file}, least-used" in result.stdout
    for words in ("one", "sk-…aaA1", "lab", "open", "0/60 requests per minute"):
        assert words in result.stdout
    assert "memory:// is not shared with other programs" in result.stdout
    assert not any(key in result.output for key in KEYS)


def test_json(file, run):
    """All that a program may want to read, and only what JSON has."""
    content = json.loads(run("status", "--pool", str(file), "--json").stdout, parse_constant=pytest.fail)
    assert (content["store"], content["shared"], content["strategy"]) == ("memory", False, "least-used")
    one, two = content["keys"]
    assert (one["name"], one["masked"], one["owner"], one["standing"]) == ("one", "sk-…aaA1", "lab", "open")
    assert one["lanes"][0]["windows"][0]["limit"] == 60
    assert two["owner"] is None


def test_infinity_is_null():
    """A key that is retired comes back when somebody revives it."""
    from stable_openai.cli.status import _finite

    assert _finite({"a": (1.5, float("inf")), "b": "x"}) == {"a": [1.5, None], "b": "x"}


def test_the_kept_keys_and_the_environment(run, monkeypatch):
    """The same keys as chat would use; a store that is not there is refused."""
    assert "there are none" in run("status").stderr
    monkeypatch.setenv("OPENAI_API_KEYS", KEYS[0])
    assert "1 key from the environment" in run("status").stdout
    run("add_apikey", input=KEYS[1])
    assert "1 key kept by add_apikey" in run("status").stdout
    result = run("status", "--store", "nonsense://")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: store: ")


def test_a_store_that_processes_share(run, file, tmp_path):
    """What others use is there to see, by anybody who may read the store; masks by those who know the keys alone."""
    url = f"sqlite:///{tmp_path}/keys.db"
    with KeyPool.from_file(file, store=url) as pool:
        leases = [pool.acquire() for _ in range(3)]
        leases[0].settle()
        pool.park("two", 600, "quota_exhausted")
        result = run("status", "--store", url)
        assert result.exit_code == 0
        assert f"2 keys in {url}, least-used; 1 process shares them now" in result.stdout
        assert "2/60 requests per minute" in result.stdout
        assert "parked" in result.stdout
        assert "quota_exhausted" in result.stdout
        assert "…" not in result.stdout
        file.write_text(file.read_text().replace("[pool]", f'[pool]\nstore = "{url}"'))
        assert "sk-…aaA1" in run("status", "--pool", str(file)).stdout
        content = json.loads(run("status", "--store", url, "--json").stdout, parse_constant=pytest.fail)
        assert (content["store"], content["shared"], content["workers"]) == ("sqlite", True, 1)
        assert [key["in_flight"] for key in content["keys"]] == [1, 1]
        for lease in leases[1:]:
            lease.settle()
    assert "0 processes share them now" in run("status", "--store", url).stdout
    assert not any(key in result.output for key in KEYS)


def test_a_store_that_is_not_there(run, tmp_path, monkeypatch):
    """Nothing is made by looking; an address is shown without its password."""
    monkeypatch.setenv("STABLE_OPENAI_STORE", f"sqlite:///{tmp_path}/none.db")
    assert "0 keys in" in run("status").stdout
    assert list(tmp_path.glob("none.db*")) == []
    result = run("status", "--store", "redis://:hunter2@127.0.0.1:1/0")
    assert result.exit_code == 1
    assert "127.0.0.1:1" in result.stderr
    assert "hunter2" not in result.output
