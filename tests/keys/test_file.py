"""Keys from a TOML file that only its owner may read."""

from __future__ import annotations

import os
import traceback

import pytest

from stable_openai import ConfigurationError, KeyManager, KeyPool, Limits, Window

A, B = "sk-filetest-aaaaaaaaaaaaaaaaaaaa", "sk-filetest-bbbbbbbbbbbbbbbbbbbb"
WHOLE = f"""
[pool]
strategy = "least-used"
rpm = 500
max_wait = 30
windows = [{{ what = "requests", limit = 20, seconds = 10 }}]

[owners.org-1]
rpm = 900
[owners.org-2.gpt-4o]
tpm = 30000

[[keys]]
secret = "{A}"
name = "lab"
owner = "org-1"
base_url = "https://example.org/v1"
models = ["gpt-4o", "gpt-4o-mini"]
weight = 3
[keys.limits]
rpm = 60
windows = [{{ what = "tokens", limit = 5, calendar = "month", zone = "UTC" }}]

[[keys]]
secret_env = "SECOND_KEY"
[keys.limits.gpt-4o]
tpm = 1000
"""


@pytest.fixture
def write(tmp_path):
    def write(text, mode=0o600):
        path = tmp_path / "keys.toml"
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def test_all_that_a_file_can_say(write, monkeypatch):
    """Options of the pool, owners' limits, keys with their fields, limits by model, a secret from the environment."""
    monkeypatch.setenv("SECOND_KEY", f"{B}\n")
    pool = KeyPool.from_file(write(WHOLE))
    assert pool.options.strategy == "least-used"
    assert pool.max_wait == 30
    assert pool.options.limits == Limits(rpm=500, windows=(Window("requests", 20, seconds=10),))
    assert pool.options.owners["org-1"] == (Limits(rpm=900), {})
    assert pool.options.owners["org-2"] == (Limits(), {"gpt-4o": Limits(tpm=30_000)})
    lab, second = pool.keys
    assert (lab.secret, lab.name, lab.owner, lab.base_url) == (A, "lab", "org-1", "https://example.org/v1")
    assert (lab.models, lab.weight) == ({"gpt-4o", "gpt-4o-mini"}, 3.0)
    assert lab.limits == Limits(rpm=60, windows=(Window("tokens", 5, calendar="month"),))
    assert (second.secret, second.model_limits) == (B, {"gpt-4o": Limits(tpm=1000)})


def test_a_plain_list_of_secrets(write):
    """``keys = [...]`` is enough, and options given in the call win over the file's."""
    pool = KeyPool.from_file(str(write(f'keys = ["{A}", "{B}"]\n[pool]\nmax_wait = 5\n')), max_wait=7)
    assert [key.secret for key in pool.keys] == [A, B]
    assert pool.max_wait == 7


def test_the_process_wide_pool_from_a_file(write):
    """``KeyManager.from_file`` makes the one pool of the process."""
    KeyManager.from_file(write(f'keys = ["{A}"]'))
    assert [key.secret for key in KeyManager().keys] == [A]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o620, 0o601])
def test_a_file_that_others_can_read_is_refused(write, mode):
    """The message has the mode and the mend; nothing was read."""
    path = write("this is no TOML at all", mode)
    with pytest.raises(ConfigurationError, match=rf"mode {mode:04o}\): run 'chmod 600 {path}'"):
        KeyPool.from_file(path)


def test_a_missing_file(tmp_path):
    """It is the usual error."""
    with pytest.raises(FileNotFoundError):
        KeyPool.from_file(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'keys = ["{A}", oops]', r"^keys.toml: is no valid TOML \(line 1, column \d+\)"),
        (f'[[key]]\nsecret = "{A}"', "^keys.toml: key: is unknown; known are pool, keys, owners"),
        (f'[keys]\nsecret = "{A}"', "^keys.toml: keys: must be a list"),
        (f'[[keys]]\nsecret = "{A}"\nnam = "x"', r"^keys.toml: keys\[0\].nam: is unknown"),
        ('[[keys]]\nname = "x"', r"^keys.toml: keys\[0\].secret: is missing"),
        ("[[keys]]\nsecret = 5", r"^keys.toml: keys\[0\]: must be a text, not int"),
        (f'keys = ["{A}", "{A}"]', r"^keys.toml: keys\[1\]: is the same as keys\[0\]"),
        (f'keys = ["{A}", "{A} "]', r"^keys.toml: keys\[1\]: has white space"),
        ('[[keys]]\nsecret_env = "NOT_THERE"', r"keys\[0\].secret_env: the variable NOT_THERE is not set"),
        ("[[keys]]\nsecret_env = 5", r"keys\[0\].secret_env: must be the name of an environment variable"),
        (f'[[keys]]\nsecret_env = "HOME"\nsecret = "{A}"', r"keys\[0\].secret_env: stands beside secret"),
        (f'pool = 3\nkeys = ["{A}"]', "^keys.toml: pool and owners must be tables"),
        (f'[pool]\nrmp = 3\n[[keys]]\nsecret = "{A}"', "^rmp: is no option of a pool"),
        (f'[pool]\nrpm = "3"\n[[keys]]\nsecret = "{A}"', "^limits.rpm: "),
        (f'[owners]\norg = 3\n[[keys]]\nsecret = "{A}"', r"^owners\['org'\]: "),
        (f'[[keys]]\nsecret = "{A}"\nlimits.rpm = -3', r"^keys.toml: keys\[0\].limits.rpm: "),
    ],
)
def test_what_is_wrong_in_a_file_is_named_and_no_secret_shown(write, text, message):
    """The message leads to the place; no key of the file is in it, nor in a traceback with locals."""
    path = write(text)
    del text
    with pytest.raises(ConfigurationError, match=message) as caught:
        KeyPool.from_file(path)
    frames = [frame for frame in traceback.extract_tb(caught.value.__traceback__) if "key_sources" in frame.filename]
    whole = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert A not in "".join(whole.format())
    assert len(frames) <= 1


def test_a_file_that_is_not_text(tmp_path):
    """Bytes that are no UTF-8 are refused like other bad TOML."""
    path = tmp_path / "keys.toml"
    path.write_bytes(b"keys = ['\xff\xfe']")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="is no valid TOML"):
        KeyPool.from_file(path)
