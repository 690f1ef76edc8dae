"""The command line as a whole: help, version, what loads when, what is said where a part is missing."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from stable_openai.cli import main
from stable_openai.cli.group import group

COMMANDS = group.list_commands(None)


@pytest.fixture
def without(monkeypatch):
    """Make packages impossible to import, as where the extra is not installed."""

    def hide(*packages):
        ours = ("stable_openai.cli.", "stable_openai.simulator.server")
        for name in [name for name in sys.modules if name.startswith(ours)]:
            monkeypatch.delitem(sys.modules, name)
        for package in packages:
            for name in [name for name in sys.modules if name.partition(".")[0] == package]:
                monkeypatch.delitem(sys.modules, name)
            monkeypatch.setitem(sys.modules, package, None)

    return hide


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], *([name, "--help"] for name in COMMANDS)])
def test_help_has_examples(arguments, capsys):
    """Each help page shows how its command is called."""
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert re.search(r"\n  Examples(, each .*)?:\n", out)
    assert f"    stable-openai {arguments[0] if len(arguments) > 1 else 'demo'}" in out.replace('eval "$(', "")


def test_version(capsys):
    """`--version` tells the installed version."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("stable-openai 1.")


@pytest.mark.parametrize("arguments", [["nonsense"], ["demo", "--threads", "0"], ["demo", "--plot", "x.doc"]])
def test_usage_errors_end_with_2(arguments, capsys):
    """What is no command or no value is refused with the usage, before anything runs."""
    assert main(arguments) == 2
    assert "Usage: stable-openai" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("click", ["--help"]),
        ("aiohttp", ["demo", "--requests", "1"]),
        ("aiohttp", ["simulate"]),
        ("matplotlib", ["demo", "--requests", "1", "--plot", "timeline.png"]),
    ],
)
def test_a_missing_extra_is_named(package, arguments, without, capsys):
    """Without the extra there is one message with the cure, no traceback, and exit code 2."""
    without(package)
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert f"needs {package}" in err
    assert 'pip install "stable-openai[cli]"' in err
    assert "Traceback" not in err


@pytest.mark.parametrize("package", ["prompt_toolkit", "rich"])
def test_a_missing_extra_of_the_terminal_is_named(package, without, capsys, monkeypatch, folder):
    """chat in a terminal needs more than chat in a pipe."""
    without(package)
    monkeypatch.setenv("OPENAI_API_KEYS", "sk-one")
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    assert main(["chat"]) == 2
    assert f"needs {package}" in capsys.readouterr().err


def test_other_missing_modules_are_not_explained_away(without):
    """An import error of ours, or of a base dependency, is no matter of the extra."""
    without("openai")
    with pytest.raises(ImportError):
        main(["demo", "--requests", "1"])


def test_help_loads_nothing_heavy():
    """`stable-openai --help` imports click and little more."""
    code = (
        "import sys; from stable_openai.cli import main; main(['--help'])\n"
        "heavy = ('openai', 'aiohttp', 'rich', 'matplotlib', 'prompt_toolkit', 'httpx', 'httpx2', 'tenacity', 'asyncio')\n"
        "print(*[name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Commands:" in run.stdout
    assert run.stderr.split() == []


def test_it_runs_as_a_module():
    """`python -m stable_openai` is the same, under the same name."""
    run = subprocess.run([sys.executable, "-m", "stable_openai", "-h"], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("Usage: stable-openai ")
