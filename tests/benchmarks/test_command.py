"""``python -m benchmarks`` with nothing run and nothing installed: the commands that it would give."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import environments
from benchmarks.environments import Environment

FOUND = {"import": {"rows": {"import tenacity": {"ms": 20.0}}}, "goodput": {"about": {}}}


class Runs(list):
    """The commands that were given, in place of running them; those with a word of ``failing`` in them fail."""

    def __init__(self):
        super().__init__()
        self.failing = set()

    def __call__(self, words, **_options):
        self.append(words)
        if "--out" in words:
            out = Path(words[words.index("--out") + 1])
            out.write_text(json.dumps(FOUND[out.stem.partition("-")[0]]))
        return subprocess.CompletedProcess(words, 1 if self.failing.intersection(words) else 0)


@pytest.fixture
def runs(monkeypatch):
    """Nothing is run, and no environment is made."""
    found = Runs()
    monkeypatch.setattr(subprocess, "run", found)
    monkeypatch.setattr(environments.venv, "create", lambda *_args, **_options: None)
    return found


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Call the command with these words, its results under ``tmp_path``."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["benchmarks", *words, "--out", str(tmp_path)])
        return command.main()

    return call


@pytest.mark.parametrize(
    ("words", "minute"), [(["--real-minute"], ["--minute", "60"]), ([], []), (["--quick"], ["--quick"])]
)
def test_a_real_minute_is_for_the_goodput_alone(runs, call, words, minute):
    """``--real-minute`` reaches the section that has minutes, and no other."""
    assert call("goodput", "import", "--no-install", *words) == 0
    goodput, imports = runs
    assert goodput[1:3] == ["-m", "benchmarks.goodput"]
    assert goodput[5:] == minute
    assert "--minute" not in imports


def test_what_cannot_be_installed_is_named_and_the_rest_goes_on(runs, call, capsys, monkeypatch, tmp_path):
    """All at once fails: then one by one, and only what fails by itself is missing."""
    wanted = tmp_path / "wanted.txt"
    wanted.write_text("# a comment\nthere>=1\nnowhere==2\n")
    peers = Environment(str(tmp_path / "venv"), str(wanted))
    monkeypatch.setattr(Environment, "python", property(lambda _self: "python-of-peers"))
    monkeypatch.setattr(command, "PEERS", peers)
    monkeypatch.setattr(command, "OLD", Environment(str(tmp_path / "old"), str(wanted)))
    runs.failing.add("nowhere==2")
    assert call("import") == 0
    shown = capsys.readouterr().out
    assert shown.count("could not be installed: nowhere\n") == 2
    installs = [words for words in runs if "pip" in words]
    assert [words[-1] for words in installs[:3]] == ["nowhere==2", "there>=1", "nowhere==2"]
    assert runs[-1][:3] == ["python-of-peers", "-m", "benchmarks.imports"]
    assert (tmp_path / "charts" / "import.svg").exists()


def test_a_section_that_fails_draws_nothing_and_is_told(runs, call, capsys, tmp_path):
    """The others go on, and the command ends with 1."""
    runs.failing.add("benchmarks.goodput")
    assert call("goodput", "import", "--no-install") == 1
    shown = capsys.readouterr().out
    assert "goodput: failed after" in shown
    assert "import: done after" in shown
    assert [path.name for path in (tmp_path / "charts").iterdir()] == ["import.svg"]


def test_an_unknown_section_is_refused(call, capsys):
    """With the names of those that there are."""
    with pytest.raises(SystemExit):
        call("speed")
    assert "there is no section 'speed': choose from overhead, goodput" in capsys.readouterr().err
