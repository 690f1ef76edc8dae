"""`stable-openai simulate`: starts, serves the real client, stops at a signal, refuses what makes no sense."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys

import openai
import pytest
from click.testing import CliRunner

from stable_openai.cli.group import group
from stable_openai.cli.watch import Watch
from stable_openai.simulator import SimKey, Simulator


def run_simulator(*arguments):
    command = [sys.executable, "-m", "stable_openai", "simulate", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def exported(process):
    """The address and the keys of the line that is ready to be pasted into a shell."""
    line = next(line for line in process.stdout if line.startswith("export "))
    url, keys = re.fullmatch(r"export OPENAI_BASE_URL=(\S+) OPENAI_API_KEYS=(\S+)\n", line).groups()
    return url, keys.split(",")


def ask(url, key):
    with openai.OpenAI(api_key=key, base_url=url, max_retries=0) as client:
        answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])
    return answer.choices[0].message.content


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_the_real_client_until_a_signal(stop):
    """The exported address and keys work; the limit is kept; a signal ends it with a summary and exit code 0."""
    with run_simulator("--keys", "2", "--rpm", "1") as process:
        url, keys = exported(process)
        assert ask(url, keys[0]) == ask(url, keys[1]) == "You said: hello"
        with pytest.raises(openai.RateLimitError):
            ask(url, keys[0])
        process.send_signal(stop)
        out, err = process.communicate()
    assert process.returncode == 0
    assert err == ""
    assert "Stopped after 3 requests: 2 served, 1 over a limit, 0 refused or failed." in out
    assert "  key-1: 1 served, 1 rpm" in out


def test_a_config_file_and_options_that_win_over_it(tmp_path):
    """Keys and settings come from the file, what is given on the command line from there."""
    config = tmp_path / "sim.toml"
    config.write_text('minute = 7.0\n[[keys]]\nsecret = "sk-from-file"\nstate = "unpaid"\nname = "mine"\n')
    with run_simulator("--config", str(config), "--minute", "9") as process:
        head = process.stdout.readline() + process.stdout.readline()
        url, keys = exported(process)
        with pytest.raises(openai.RateLimitError):
            ask(url, keys[0])
        process.terminate()
        out, _ = process.communicate()
    assert "A minute lasts 9 s" in head
    assert keys == ["sk-from-file"]
    assert "mine: 1 unpaid" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--keys", "2", "--demo-keys"], "give one of"),
        (["--demo-keys", "--rpm", "5"], "--rpm is for --keys"),
        (["--server-errors", "0.7", "--resets", "0.7"], "must not be above 1"),
        (["--minute", "10", "--day", "5"], "day"),
        (["--key", "sk a"], "without blanks"),
        (["--key", "sk-a", "--key", "sk-a"], "too"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, words):
    """A usage error names what is wrong, and shows no secret."""
    result = CliRunner().invoke(group, ["simulate", *arguments])
    assert result.exit_code == 2
    assert words in result.output
    assert "sk-a" not in result.output


def test_a_config_file_with_a_mistake_is_refused(tmp_path):
    """The field is named; options for keys do not mix with the file's keys."""
    config = tmp_path / "sim.toml"
    config.write_text("minuet = 7.0\n")
    result = CliRunner().invoke(group, ["simulate", "--config", str(config)])
    assert result.exit_code == 2
    assert "minuet" in result.output
    config.write_text('keys = ["sk-1"]\n')
    result = CliRunner().invoke(group, ["simulate", "--config", str(config), "--max-concurrency", "5"])
    assert result.exit_code == 2
    assert "--max-concurrency is for --keys" in result.output


def test_a_port_that_is_taken():
    """One line says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(group, ["simulate", "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert "Error: the port" in result.output


@pytest.mark.parametrize("live", [False, True])
def test_the_watch_tells_what_the_simulator_sees(live, capsys):
    """The greeting, and a summary by key."""
    keys = [SimKey("sk-1", rpm=5, name="quick"), SimKey("sk-2", name="late", latency_s=0.5, state="dead")]
    with Simulator(keys=keys) as simulator:
        watch = Watch(simulator, live=live)
        watch.start()
        assert ask(simulator.base_url, "sk-1") == "You said: hello"
        watch.stop()
    watch.sum_up()
    out = capsys.readouterr().out
    assert "sk-1  5 rpm" in out
    assert "sk-2  dead, answers in 0.5 s" in out
    assert "Stopped after 1 requests: 1 served" in out
    assert "quick: 1 served" in out
    assert "late:" not in out
