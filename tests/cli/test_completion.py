"""`stable-openai completion`: the scripts, and what a shell gets from them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(sys.executable).parent


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("program", ["stable-openai", "openai2"])
def test_a_script_for_each_shell_and_name(shell, program):
    """It is for the name under which the program was called."""
    if not (SCRIPTS / program).exists():
        pytest.skip(f"{program} is not installed")
    run = subprocess.run([SCRIPTS / program, "completion", shell], capture_output=True, text=True, check=True)
    variable = f"_{program.upper().replace('-', '_')}_COMPLETE={shell}_complete"
    assert variable in run.stdout
    assert program in run.stdout


def test_another_shell_is_refused(run):
    """The message says which there are."""
    result = run("completion", "csh")
    assert result.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in result.stderr


COMPLETE = """
eval "$(stable-openai completion bash)"
COMP_WORDS=(stable-openai {words}); COMP_CWORD={at}
_stable_openai_completion stable-openai
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.skipif(not (SCRIPTS / "stable-openai").exists(), reason="needs the installed command")
@pytest.mark.parametrize(
    ("words", "at", "expected"),
    [
        ("", 1, {"chat", "newchat", "add_apikey", "read_apikey", "clear_apikey", "status", "completion"}),
        ("read", 1, {"read_apikey"}),
        ("chat --mo", 2, {"--model"}),
        ("completion ''", 2, {"bash", "zsh", "fish"}),
    ],
)
def test_bash_completes(words, at, expected):
    """Commands, options and choices, in a real bash."""
    environment = {**os.environ, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}
    script = COMPLETE.format(words=words, at=at)
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert expected <= set(run.stdout.split())
