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
        (
            f'[[key]]\nsecret = "{A}"',
            "^keys.toml, line 1: key: is unknown: did you mean keys\\? Known are pool, keys, owners",
        ),
        (f'[keys]\nsecret = "{A}"', "^keys.toml, line 1: keys: must be a list"),
        (f'[[keys]]\nsecret = "{A}"\nnam = "x"', r"^keys.toml, line 3: keys\[0\].nam: is unknown: did you mean name\?"),
        ('[[keys]]\nname = "x"', r"^keys.toml, line 1: keys\[0\].secret: is missing"),
        ("[[keys]]\nsecret = 5", r"^keys.toml, line 2: keys\[0\].secret: must be a text, not int"),
        (f'keys = ["{A}", "{A}"]', r"^keys.toml, line 1: keys\[1\]: is the same as keys\[0\]"),
        (f'keys = ["{A}", "{A} "]', r"^keys.toml, line 1: keys\[1\]: has white space"),
        ('[[keys]]\nsecret_env = "NOT_THERE"', r"keys\[0\].secret_env: the variable NOT_THERE is not set"),
        ("[[keys]]\nsecret_env = 5", r"keys\[0\].secret_env: must be the name of an environment variable"),
        (f'[[keys]]\nsecret_env = "HOME"\nsecret = "{A}"', r"keys\[0\].secret_env: stands beside secret"),
        (f'pool = 3\nkeys = ["{A}"]', "^keys.toml, line 1: pool: must be a table"),
        (
            f'[pool]\nrmp = 3\n[[keys]]\nsecret = "{A}"',
            "^keys.toml, line 2: pool.rmp: is no option of a pool: did you mean rpm",
        ),
        (f'[pool]\nrpm = "3"\n[[keys]]\nsecret = "{A}"', "^keys.toml, line 2: pool.rpm: must be"),
        (f'[owners]\norg = 3\n[[keys]]\nsecret = "{A}"', r"^keys.toml, line 2: owners\['org'\]: "),
        (f'[[keys]]\nsecret = "{A}"\nlimits.rpm = -3', r"^keys.toml, line 3: keys\[0\].limits.rpm: "),
        (
            f'[[keys]]\nsecret = "{A}"\nname = "lab"\n\n[[keys]]\nname = "lab"\nsecret = "{B}"',
            r"^keys.toml, line 6: keys\[1\].name: two keys have the name 'lab'",
        ),
        (
            f'# limits.rpm = 0\nkeys = [\n  {{secret = "{A}"}},\n  {{secret = "{B}", limits = {{rpm = 0}}}},\n]',
            r"^keys.toml, line 4: keys\[1\].limits.rpm: must be a whole number of at least 1, not 0",
        ),
        (
            f'[[keys]]\nsecret = "{A}"\n[keys.limits."gpt-4.1"]\ntpm = 5\nrmp = 3',
            r"^keys.toml, line 5: keys\[0\].limits\['gpt-4.1'\].rmp: is unknown: did you mean rpm\?",
        ),
        (f'[[keys]]\nsecret = "{A}"\n[keys.limits]\nrmp = 3', r"^keys.toml, line 4: keys\[0\].limits.rmp: is unknown"),
        (f'[owners.lab]\nrpm = 5\ntpm = 0\n[[keys]]\nsecret = "{A}"', r"^keys.toml, line 3: owners\['lab'\].tpm: must"),
        ('[pool]\nstore = "redis://:pw-RECOGNISABLE@h:x"', r"^keys.toml, line 2: pool.store: redis://:\*\*\*@h:x"),
        ('[pool]\n\nstrategy = "fastest"', "^keys.toml, line 3: pool.strategy: 'fastest' is unknown"),
        ("[pool]\n[pool.limits]\nrpm = 0", "^keys.toml, line 3: pool.limits.rpm: must"),
        (
            "[pool]\nwindows = [\n {what = 'requests', limit = 0, seconds = 1}]",
            r"^keys.toml, line 3: pool.windows\[0\].limit",
        ),
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
    assert "RECOGNISABLE" not in "".join(whole.format())
    assert len(frames) <= 1


def test_a_bad_key_of_a_variable(write, monkeypatch):
    """The file, the line and the variable are named, and the key is not shown."""
    monkeypatch.setenv("SECOND_KEY", f"{A} {B}")
    with pytest.raises(ConfigurationError) as caught:
        KeyPool.from_file(write('[[keys]]\nname = "lab"\nsecret_env = "SECOND_KEY"\n'))
    told = (
        "keys.toml, line 3: keys[0].secret_env: the variable SECOND_KEY has white space or a line break in or around it"
    )
    assert str(caught.value) == told


def test_an_option_of_the_call_wins_over_a_wrong_one(write):
    """What is not used does no harm."""
    path = write(f'keys = ["{A}"]\n[pool]\nmax_wait = "long"\n')
    assert KeyPool.from_file(path, max_wait=3).max_wait == 3
    with pytest.raises(ConfigurationError, match="^keys.toml, line 3: pool.max_wait: must be a number of seconds"):
        KeyPool.from_file(path)
    with pytest.raises(ConfigurationError, match="^max_wait: must be a number of seconds"):
        KeyPool.from_file(path, max_wait="short")


def test_a_file_that_is_not_text(tmp_path):
    """Bytes that are no UTF-8 are refused like other bad TOML."""
    path = tmp_path / "keys.toml"
    path.write_bytes(b"keys = ['\xff\xfe']")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="is no valid TOML"):
        KeyPool.from_file(path)
