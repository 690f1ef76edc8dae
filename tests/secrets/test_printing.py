"""Every test of this suite is searched for secrets that it has printed: here is shown that this would be noticed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import logging, sys
def test_it():
    {}
"""


@pytest.mark.parametrize(
    ("line", "passes"),
    [
        ("print('sk-…abcd')", True),
        ("print('sk-short')", True),
        ("print('Bearer sk-0123456789abcdef')", False),
        ("print('sk-0123456789abcdef', file=sys.stderr)", False),
        ("logging.getLogger('stable_openai').debug('sk-%s', '0123456789abcdef')", False),
    ],
)
def test_a_secret_that_is_printed_or_logged_fails_the_test(tmp_path, line, passes):
    """On stdout, on stderr, in the log."""
    (tmp_path / "conftest.py").write_text((Path(__file__).parents[1] / "conftest.py").read_text())
    (tmp_path / "test_it.py").write_text(CODE.format(line))
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is passes, done.stdout + done.stderr
    assert ("looks like a secret" in done.stdout) is not passes
