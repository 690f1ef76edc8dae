"""`add_apikey`, `read_apikey`, `clear_apikey`: where keys are kept, who may read them, what is shown."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

from stable_openai import KeyPool
from stable_openai.cli.keys import stored
from tests.cli.conftest import KEYS

posix = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def listed(run):
    return json.loads(run("read_apikey", "--json").stdout)


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_key_is_kept_where_nobody_else_can_read(umask, run, folder):
    """The folder has mode 0700 and the file 0600, whatever the umask; the file is one for --pool, too."""
    before = os.umask(umask)
    try:
        result = run("add_apikey", "--name", "lab", "--owner", "org-1", input=f"{KEYS[0]}\n")
    finally:
        os.umask(before)
    assert result.exit_code == 0, result.output
    assert result.stdout == "Kept sk-…aaA1 as lab in your configuration folder.\n"
    assert mode(folder) == 0o700
    assert mode(folder / "keys.toml") == 0o600
    (key,) = KeyPool.from_file(folder / "keys.toml").keys
    assert (key.secret, key.name, key.owner) == (KEYS[0], "lab", "org-1")
    assert sorted(path.name for path in folder.iterdir()) == ["keys.lock", "keys.toml"]


def test_several_keys_are_told_apart(run):
    """Each run adds one; several may come on the input; each has a name; the base URL stays with its key."""
    run("add_apikey", KEYS[0])
    run("add_apikey", input="sk-two\n\n  sk-three \n")
    run("add-apikey", "--base-url", "https://example.org/v1", input="sk-four")
    assert [(each["name"], each["key"], each["base_url"]) for each in listed(run)] == [
        ("key-1", "sk-…aaA1", None),
        ("key-2", "sk-…", None),
        ("key-3", "sk-…", None),
        ("key-4", "sk-…", "https://example.org/v1"),
    ]


def test_a_key_on_the_line_is_warned_of(run):
    """It stands in the shell's history; where it is asked for, there is no such note."""
    on_line, asked = run("add_apikey", KEYS[0]), run("add_apikey", input="sk-other")
    assert "shell's history" in on_line.stderr
    assert asked.stderr == ""
    assert KEYS[0] not in on_line.output


def test_keys_are_masked_unless_revealed(run):
    """The table and the JSON show masks, and the secrets only where they are asked for."""
    run("add_apikey", KEYS[0])
    for options in ([], ["--json"]):
        assert KEYS[0] not in run("read_apikey", *options).output
        assert KEYS[0] in run("read_apikey", "--reveal", *options).stdout


def test_where_no_key_is_kept(run, monkeypatch):
    """It says so; keys of the environment, which are used then, are counted."""
    assert "add_apikey adds one" in run("read_apikey").stdout
    assert listed(run) == []
    monkeypatch.setenv("OPENAI_API_KEYS", "sk-x,sk-y")
    assert "the 2 of the environment are used" in run("read-apikey").stdout
    assert run("clear_apikey").stdout == "No API key is kept.\n"


@pytest.mark.parametrize(
    ("arguments", "given", "words"),
    [
        (["add_apikey"], KEYS[0], "sk-…aaA1 is kept already, as key-1"),
        (["add_apikey", "--name", "key-1"], "sk-new", "'key-1' is the name of another key"),
        (["add_apikey"], "sk-a b", "white space"),
        (["add_apikey"], "sk-good\nsk-”bad", "not ASCII"),
        (["add_apikey", "--name", "a"], "sk-1\nsk-2", "--name is for one key"),
        (["add_apikey"], "\n", "no key was given"),
        (["add_apikey", "--base-url", KEYS[1]], KEYS[1], "holds the secret itself"),
    ],
)
def test_what_is_refused(arguments, given, words, run, folder):
    """One line says why, without a secret; nothing is changed."""
    run("add_apikey", input=KEYS[0])
    before = (folder / "keys.toml").read_bytes()
    result = run(*arguments, input=given)
    assert result.exit_code in (1, 2)
    assert words in result.stderr
    assert not any(secret in result.output for secret in (*KEYS, "sk-good"))
    assert (folder / "keys.toml").read_bytes() == before


@posix
def test_a_file_that_others_can_read_is_refused(run, folder):
    """By every command that reads keys, with the cure; removing it is possible all the same."""
    run("add_apikey", input=KEYS[0])
    (folder / "keys.toml").chmod(0o640)
    for arguments in (["read_apikey"], ["add_apikey", "sk-new"], ["status"], ["chat", "Hello!"]):
        result = run(*arguments)
        assert result.exit_code == 1
        assert f"chmod 600 {folder / 'keys.toml'}" in result.stderr
    assert run("clear_apikey").stdout == "Removed all API keys.\n"
    assert not (folder / "keys.toml").exists()


def test_what_the_user_has_written_stays(run, folder):
    """A key is put behind whatever the file holds: comments, limits, options."""
    folder.mkdir()
    file = folder / "keys.toml"
    file.write_text('# mine\n[pool]\nrpm = 7\n[[keys]]\nsecret = "sk-hand"\n[keys.limits]\nrpm = 3\n')
    file.chmod(0o600)
    assert run("add_apikey", input="sk-new").exit_code == 0
    assert file.read_text().startswith(
        '# mine\n[pool]\nrpm = 7\n[[keys]]\nsecret = "sk-hand"\n[keys.limits]\nrpm = 3\n'
    )
    assert [each["name"] for each in listed(run)] == ["key-1", "key-2"]
    assert stored.options() == {"rpm": 7}


def test_a_wrong_option_that_the_user_has_written(run, folder):
    """It is named with its line."""
    run("add_apikey", input=KEYS[0])
    path = folder / "keys.toml"
    path.write_text(f"[pool]\nrmp = 3\n{path.read_text()}")
    assert "keys.toml, line 2: pool.rmp: is no option of a pool: did you mean rpm?" in run("status").stderr


def test_a_list_in_one_line_can_not_be_added_to(run, folder):
    """TOML has no way to; the message says what to write instead."""
    folder.mkdir()
    file = folder / "keys.toml"
    file.write_text('keys = ["sk-hand"]\n')
    file.chmod(0o600)
    result = run("add_apikey", input="sk-new")
    assert "[[keys]] of its own" in result.stderr
    assert file.read_text() == 'keys = ["sk-hand"]\n'
    assert sorted(path.name for path in folder.iterdir()) == ["keys.lock", "keys.toml"]


def test_processes_that_add_at_once_lose_nothing(run, folder):
    """Each waits for the other's file."""

    def add(number):
        command = [sys.executable, "-m", "stable_openai", "add_apikey"]
        return subprocess.run(command, input=f"sk-{number}", text=True, capture_output=True, check=True).stdout

    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(add, range(8)))
    assert {each.key.secret for each in stored.stored()} == {f"sk-{number}" for number in range(8)}
    assert sorted(line.split()[3] for line in said) == [f"key-{number}" for number in range(1, 9)]


def test_a_file_is_written_whole_or_not_at_all(run, folder, monkeypatch):
    """Where the disk is full, the old one stays, and nothing is left beside it."""
    run("add_apikey", input=KEYS[0])
    before = (folder / "keys.toml").read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = run("add_apikey", input="sk-new")
    assert result.stderr == "Error: No space left on device\n"
    assert (folder / "keys.toml").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["keys.lock", "keys.toml"]


# -- clearing


def test_clearing_without_a_terminal_does_not_ask(run, folder):
    """A script is not kept waiting."""
    run("add_apikey", input=KEYS[0])
    assert run("clear_apikey").stdout == "Removed 1 API key.\n"
    assert listed(run) == []


def test_clearing_in_a_terminal_asks_first(run, terminal):
    """No is no; --yes asks nothing."""
    run("add_apikey", input="sk-1\nsk-2")
    screen = terminal("clear_apikey")
    screen.wait_for(r"Remove 2 API keys\?")
    screen.type("n\r")
    assert screen.wait_for_end() == 1
    assert len(listed(run)) == 2
    screen = terminal("clear_apikey", "--yes")
    assert screen.wait_for_end() == 0
    assert listed(run) == []


def test_a_key_that_is_asked_for_is_not_shown(run, terminal):
    """Nothing of what is typed comes back."""
    screen = terminal("add_apikey")
    screen.wait_for(r"API key \(what you type is not shown\):")
    screen.type(f"{KEYS[0]}\r")
    assert screen.wait_for_end() == 0
    assert "Kept sk-…aaA1 as key-1" in screen.text()
    assert KEYS[0] not in screen.text()


# -- the system's keyring


class FakeKeyring(types.ModuleType):
    """The package's three functions, over a dictionary."""

    def __init__(self):
        super().__init__("keyring")
        self.kept = {}
        self.locked = False
        self.errors = types.ModuleType("keyring.errors")
        self.errors.KeyringError = type("KeyringError", (Exception,), {})
        self.errors.PasswordDeleteError = type("PasswordDeleteError", (self.errors.KeyringError,), {})

    def set_password(self, service, name, secret):
        if self.locked:
            raise self.errors.KeyringError("it is locked")
        self.kept[service, name] = secret

    def get_password(self, service, name):
        return self.kept.get((service, name))

    def delete_password(self, service, name):
        if (service, name) not in self.kept:
            raise self.errors.PasswordDeleteError
        del self.kept[service, name]


@pytest.fixture
def keyring(monkeypatch):
    fake = FakeKeyring()
    monkeypatch.setitem(sys.modules, "keyring", fake)
    monkeypatch.setitem(sys.modules, "keyring.errors", fake.errors)
    return fake


def test_the_keyring_holds_the_secret_and_no_file_does(run, folder, keyring):
    """Beside it stands a list of names; keys of both places are used together, and told apart."""
    run("add_apikey", "--keyring", "--name", "safe", "--owner", "org-1", input=KEYS[0])
    run("add_apikey", input=KEYS[1])
    assert keyring.kept == {("stable-openai", "safe"): KEYS[0]}
    assert not any(KEYS[0].encode() in path.read_bytes() for path in folder.iterdir())
    assert [(each["name"], each["where"], each["owner"]) for each in listed(run)] == [
        ("safe", "keyring", "org-1"),
        ("key-2", "file", None),
    ]
    assert [each.key.secret for each in stored.stored()] == [*KEYS]
    assert "kept already, as safe" in run("add_apikey", input=KEYS[0]).stderr
    assert run("clear_apikey").stdout == "Removed 2 API keys.\n"
    assert keyring.kept == {}
    assert listed(run) == []


def test_a_keyring_that_can_not_be_used(run, keyring):
    """One line says why; nothing is half-kept."""
    keyring.locked = True
    result = run("add_apikey", "--keyring", input=KEYS[0])
    assert result.stderr == "Error: keyring: can't be used: it is locked\n"
    assert listed(run) == []


def test_a_keyring_that_has_lost_a_key(run, keyring):
    """It is said which, and clearing helps."""
    run("add_apikey", "--keyring", input=KEYS[0])
    keyring.kept.clear()
    assert "no key 'key-1' any more" in run("read_apikey").stderr
    assert run("clear_apikey").exit_code == 0
    assert listed(run) == []


def test_a_missing_keyring_package(run, monkeypatch):
    """The message names the extra."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    result = run("add_apikey", "--keyring", input=KEYS[0])
    assert result.exit_code == 1
    assert 'pip install "stable-openai[keyring]"' in result.stderr


def test_a_broken_list_of_the_keyring(run, folder):
    """It is named; nothing is guessed."""
    folder.mkdir()
    (folder / "keyring.json").write_text("[]")
    assert "is no list of keys" in run("read_apikey").stderr
