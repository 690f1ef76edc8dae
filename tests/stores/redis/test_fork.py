"""A forked child has connections of its own, and leaves its parent's alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

CODE = """
import gc, os, sys, threading, traceback
from stable_openai.stores.shared.journal import Entry
from stable_openai.stores.shared.redis.journal import RedisJournal

url = sys.argv[1]
bell = threading.Semaphore(0)
journal = RedisJournal(url)
journal.begin("id", b"")
journal.listen(bell.release)
assert bell.acquire(timeout=20)
first = journal.append("id", None, ["parent"], wake=False)
parents = journal._exchange._wire, journal._listener

pid = os.fork()
if pid == 0:
    code = 1
    try:
        if sys.argv[2] == "forgets":
            parents = None
            journal.after_fork()
            gc.collect()
            assert journal._listener is None
            heard = threading.Semaphore(0)
            journal.listen(heard.release)
            assert heard.acquire(timeout=20)
            made = journal.append("id", Entry(1, first.at, "parent"), ["child"], wake=True)
            assert list(made.seqs) == [2], made
        journal.close()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
if sys.argv[2] == "forgets":
    assert bell.acquire(timeout=20), "the parent's listener has heard the child"
made = journal.append("id", Entry(1, first.at, "parent"), ["again"], wake=False)
assert [entry.text for entry in made.missed] == (["child"] if sys.argv[2] == "forgets" else []), made
assert (journal._exchange._wire, journal._listener) == parents, "its connections are the same as before"
assert parents[1]._wire is not None
journal.close()
"""


@pytest.mark.parametrize("what", ["forgets", "closes what it was given"])
def test_forked(server, namespace, what):
    """The child's calls work, the parent's go on over the same connections, and its listener still hears."""
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", CODE),
            *(f"{server.url}?namespace={namespace}", what),
        ],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
