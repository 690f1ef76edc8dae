"""The demo as a user runs it: real client, real HTTP, small crawls in a short minute."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from stable_openai.cli.group import group

MODES = [pytest.param([], id="threads"), pytest.param(["--async"], id="tasks")]


def demo(*arguments):
    return CliRunner().invoke(group, ["demo", "--minute", "1", *arguments])


@pytest.mark.parametrize("mode", MODES)
def test_every_request_is_answered_once(mode):
    """More than a minute's requests: all answered, each once, the bad keys found out, exit code 0."""
    result = demo("--requests", "350", "--json", *mode)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["answered"] == figures["requests"] == 350
    assert figures["failed"] == figures["served_twice"] == 0
    assert figures["uses"] == ("tasks" if mode else "threads")
    assert figures["keys"]["dead"]["state"] == "retired"
    assert figures["keys"]["unpaid"]["state"] == "parked"
    assert figures["keys"]["unpaid"]["attempts"] == figures["met_429"] - figures["rejected_by_limit"]
    assert sum(key["served"] for key in figures["keys"].values()) == 350
    assert figures["best_seconds"] == pytest.approx(1.02)


def test_what_cannot_be_answered_gives_exit_code_1():
    """Where calls may not wait, the requests beyond the first minute's fail, and are counted by their error."""
    result = demo("--requests", "345", "--minute", "60", "--max-wait", "0", "--json")
    assert result.exit_code == 1
    figures = json.loads(result.stdout)
    assert figures["answered"] == 330
    assert figures["errors"] == {"NoKeyAvailable": 15}


def test_plain_output_has_no_control_characters(monkeypatch):
    """Not on a terminal, even where colour is asked for: plain lines with events, progress, the table, the summary."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = demo("--requests", "40")
    assert result.exit_code == 0
    text = result.stdout
    assert all(character == "\n" or character.isprintable() for character in text)
    for part in ("dead: retired (invalid key)", "40/40 answered", "key        secret", "40 of 40 requests answered"):
        assert part in text
    assert "sk-sim-" not in text  # secrets are masked


def test_the_same_seed_makes_the_same_crawl():
    """Keys and prompts are those of the seed."""
    from stable_openai.cli.demo.rehearsal import Plan, Rehearsal

    first, again, other = (Rehearsal(Plan(20, 4, 1.0, seed)) for seed in (7, 7, 8))
    assert first.keys == again.keys != other.keys
    assert first.crawl.prompts == again.crawl.prompts != other.crawl.prompts


@pytest.mark.parametrize(("name", "magic"), [("timeline.png", b"\x89PNG\r\n\x1a\n"), ("timeline.svg", b"<?xml")])
def test_the_timeline_is_written(name, magic, tmp_path):
    """`--plot` writes a picture of the kind that its name says, and leaves nothing else behind."""
    result = demo("--requests", "40", "--plot", str(tmp_path / name))
    assert result.exit_code == 0, result.output
    assert (tmp_path / name).read_bytes().startswith(magic)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_plot_that_could_not_be_written_is_refused_first(tmp_path):
    """Nobody waits for a crawl to learn that the directory is not there."""
    result = demo("--plot", str(tmp_path / "nowhere" / "timeline.png"))
    assert result.exit_code == 2
    assert "no directory" in result.output


def test_server_errors_are_overcome():
    """With the provider's own errors in between, every request is still answered."""
    result = demo("--requests", "40", "--errors", "0.1", "--seed", "3", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["attempts"] > 42


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind are POSIX's")
@pytest.mark.parametrize("mode", MODES)
def test_ctrl_c_gives_a_summary_and_130(mode):
    """Interrupted, it lets running requests end, sends the waiting ones away, and says how far it came."""
    command = [sys.executable, "-m", "stable_openai", "demo", "--requests", "5000", "--minute", "60", *mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        head = next(line for line in process.stdout if "retired" in line)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130, err
    assert "dead" in head
    assert "of 5000 requests answered" in out
    assert "interrupted" in out
    assert err == ""


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX's")
def test_on_a_terminal_the_table_is_drawn_live():
    """On a terminal the screen is drawn in place; with NO_COLOR without colours."""
    leader, follower = os.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1", "COLUMNS": "100", "LINES": "40"}
    command = [sys.executable, "-m", "stable_openai", "demo", "--requests", "40", "--minute", "1"]
    with subprocess.Popen(command, stdout=follower, stderr=subprocess.PIPE, env=environment) as process:
        os.close(follower)
        seen = b""
        while True:
            try:
                piece = os.read(leader, 65_536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not piece:
                break
            seen += piece
        assert process.stderr.read() == b""
    os.close(leader)
    text = seen.decode()
    assert process.returncode == 0
    assert "\x1b[?25l" in text  # the cursor is hidden while it draws, and shown after
    assert "\x1b[?25h" in text
    assert not any(colour in text for colour in ("\x1b[31m", "\x1b[34m", "\x1b[35m"))
    assert "retired: invalid key" in text
    assert "40 of 40 requests answered" in text
