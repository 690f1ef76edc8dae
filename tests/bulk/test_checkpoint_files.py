"""The files of a checkpoint: torn, foreign, locked, unwritable, full. A clear message each, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

import stable_openai
from stable_openai import ConfigurationError, amap
from stable_openai.bulk.checkpoint import Checkpoint
from stable_openai.bulk.forms import ValueForm

PATIENCE = 20.0
posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX")


def smap(fn, items, **options):
    return stable_openai.map(fn, items, **{"progress": False, **options})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.jsonl"


@pytest.fixture
def failures(tmp_path):
    return tmp_path / "out.failures.jsonl"


def done_in(path):
    """The ids that a checkpoint knows, opened and closed."""
    checkpoint = Checkpoint(path, ValueForm())
    try:
        return {line["id"]: line["value"] for line in checkpoint.results()}
    finally:
        checkpoint.close()


def is_whole(path):
    raw = path.read_bytes()
    return all(json.loads(line) for line in raw.splitlines()) and (not raw or raw.endswith(b"\n"))


# -- torn

LINES = [
    json.dumps({"id": name, "value": value}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    for name, value in [("a", 1), ("b", 'two \\ " ü'), ("c", {"deep": [{}, [None, 1.5]]}), ("ü", ""), ("e", "}")]
]
WHOLE = b"".join(LINES)


def test_a_file_that_was_cut_anywhere(path):
    """At each byte: all whole lines are known, the rest is taken away; nothing but the end of a line is made up."""
    ends = [0]
    for line in LINES:
        ends.append(ends[-1] + len(line))
    for cut in range(len(WHOLE) + 1):
        path.write_bytes(WHOLE[:cut])
        found = done_in(path)
        whole = sum(end - 1 <= cut for end in ends[1:])
        assert list(found) == ["a", "b", "c", "ü", "e"][:whole], cut
        assert path.read_bytes() == WHOLE[: ends[whole]], cut


@pytest.mark.parametrize("cut", range(0, len(WHOLE) + 1, 7))
def test_a_run_goes_on_from_wherever_it_was_cut(path, cut):
    """Each id is there once in the end, and none is asked again whose line was whole."""
    path.write_bytes(WHOLE[:cut])
    kept = WHOLE[:cut].count(b"\n") + WHOLE[:cut].endswith(b"}")
    calls = []
    run = smap(lambda item: calls.append(item) or item, ["a", "b", "c", "ü", "e"], checkpoint=path, id=str)
    assert len(list(run)) == 5
    assert is_whole(path)
    assert sorted(json.loads(line)["id"] for line in path.read_bytes().splitlines()) == sorted(
        ["a", "b", "c", "ü", "e"]
    )
    assert len(calls) in {5 - kept, 5 - kept + 1}  # a "}" may be a value's


@pytest.mark.parametrize(
    "tail", [b"\0", b"\0" * 5000, b'{"id":"x","val\0\0\0', b'{"id":"x","value":1}\0\0', b'{"id":"\xc3', b"{"]
)
def test_what_a_power_failure_leaves(path, tail):
    """A file's end of NULs, or of a line and NULs, or half a letter."""
    path.write_bytes(WHOLE + tail)
    found = done_in(path)
    assert ("x" in found) == (b'"value":1}' in tail)
    assert is_whole(path)
    assert path.read_bytes().startswith(WHOLE)


def test_a_last_line_without_its_end_is_kept(path):
    """As an editor may leave it: it is whole, and what is written next stands on a line of its own."""
    path.write_bytes(WHOLE.rstrip(b"\n"))
    smap(str, ["a", "e", "f"], checkpoint=path, id=str).run()
    assert path.read_bytes() == WHOLE + b'{"id":"f","value":"f"}\n'


def test_a_torn_file_of_failures(path, failures):
    """Is mended likewise; what stood in the torn line is asked again."""
    failures.write_bytes(b'{"id":"a","reason":"bad_request","error":"e","retriable":false}\n{"id":"b","reas')
    found = list(smap(str, ["a", "b"], checkpoint=path, id=str, errors="return"))
    assert [type(value) for value in found] == [stable_openai.FailedBefore, str]
    assert failures.read_bytes().count(b"\n") == 1


def test_lines_of_other_writers(path):
    """With spaces, with Windows' line ends, with empty lines, with fields of their own."""
    path.write_bytes(b'{"id": "a", "value": 1}\r\n\n  \n{"value": 2, "id": "b", "note": "mine"}\n')
    assert done_in(path) == {"a": 1, "b": 2}


def test_of_an_id_that_is_there_twice_the_last_counts(path):
    """As where files were put together by hand."""
    path.write_bytes(b'{"id":"a","value":1}\n{"id":"a","value":2}\n')
    assert list(smap(str, ["a"], checkpoint=path, id=str)) == [2]


# -- foreign


@pytest.mark.parametrize(
    "content",
    [
        b"prompt,answer\n1,2\n",
        b"hello",
        b'{"prompt":"a"}\n',
        b'{"id":1,"value":2}\n',
        b'{"id":"a"}\n',
        b"[1]\n",
        b"null\n",
        b'{"id":"a","value":1}\nnot json\n{"id":"b","value":1}\n',
        b'{"id":"a","value":1}\n{"id":"b","va\n',
        b'{"id":"a","value":1}\nhalf a line of something else',
        b"\xff\xfe\x00a",
        b"PAR1\x15\x04\x15",
        b"[" * 100_000 + b"\n",
    ],
    ids=range(13),
)
@pytest.mark.parametrize("which", ["results", "failures"])
def test_another_kind_of_file_is_refused(path, failures, content, which):
    """The line is named; not a byte is changed, and no file is left beside it."""
    file = path if which == "results" else failures
    if which == "failures":
        content = content.replace(b'"value":1', b'"reason":"x"')
    file.write_bytes(content)
    with pytest.raises(
        ConfigurationError, match=r"line \d of .*\.jsonl is no result of a run .*: is it another file\?"
    ):
        smap(str, ["a"], checkpoint=path)
    assert file.read_bytes() == content
    assert [one.name for one in path.parent.iterdir()] == [file.name] if which == "results" else True


@given(content=some.binary(max_size=200))
def test_whatever_is_in_it(content):
    """A file is refused and left as it is, or it is ours and in the end holds whole lines."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.jsonl"
        path.write_bytes(content)
        try:
            done_in(path)
        except ConfigurationError:
            assert path.read_bytes() == content
        else:
            assert is_whole(path) or not path.read_bytes().strip()


# -- locked


def test_two_runs_at_once_are_refused(path):
    """In one process; the first goes on, and when it has ended the file is free."""
    with smap(str, range(10), checkpoint=path) as run:
        assert next(run) == "0"
        before = path.read_bytes()
        with pytest.raises(
            ConfigurationError, match="another run is writing .*: wait for it, stop it, or name another file"
        ):
            smap(str, range(10), checkpoint=path)
        assert path.read_bytes()[: len(before)] == before
        assert len(list(run)) == 9
    smap(str, range(10), checkpoint=path).run()


RUN = """
import sys, stable_openai
from stable_openai import ConfigurationError
try:
    print(stable_openai.map(str, range(10), checkpoint=sys.argv[1], progress=False).run().answered)
except ConfigurationError as error:
    print(error)
"""


def run_elsewhere(path):
    run = subprocess.run(
        [sys.executable, "-c", RUN, path], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return run.stdout.strip()


def test_two_runs_in_two_processes(path):
    """The same."""
    with smap(str, range(10), checkpoint=path) as run:
        next(run)
        assert "another run is writing" in run_elsewhere(path)
        run.run()
    assert run_elsewhere(path) == "0"


FORKED = """
import gc, os, sys, stable_openai

path, gate = sys.argv[1], int(sys.argv[2])

def fails(item):
    if item == "last":
        raise ValueError(item)
    return item

run = stable_openai.map(fails, [*map(str, range(20)), "last"], checkpoint=path, id=str, errors="return", progress=False, buffer=3)
next(run)
if os.fork() == 0:
    if gate:
        os.write(1, b"forked\\n")
        os.read(gate, 1)
        os._exit(0)
    sys.exit()  # with all that is done at an exit
if gate:
    os._exit(1)  # as if killed
os.wait()
run.run()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_a_forked_child_that_exits_ends_nothing(path, failures):
    """It is no run of its own: the files stay, and the parent goes on to write there."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED, path, "0"], timeout=PATIENCE, check=True)
    assert path.read_bytes().count(b"\n") == 20
    assert json.loads(failures.read_bytes())["id"] == "last"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_a_forked_child_that_outlives_the_run_locks_nothing(path):
    """The run's process is gone: another run may begin, whoever was forked from it."""
    read, write = os.pipe()
    command = [sys.executable, "-W", "ignore", "-c", FORKED, path, str(read)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=[read]) as run:
        assert run.stdout.readline() == b"forked\n"
        assert run.wait(PATIENCE) == 1
        assert len(list(smap(str, map(str, range(20)), checkpoint=path, id=str))) == 20
        os.write(write, b".")
        run.stdout.read()
    os.close(read)
    os.close(write)


# -- places that are none


def test_a_folder_is_no_file(tmp_path):
    """The system's own error, with the place."""
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        smap(str, [1], checkpoint=tmp_path)


def test_there_is_no_such_folder(tmp_path):
    """Nothing is made."""
    with pytest.raises(FileNotFoundError):
        smap(str, [1], checkpoint=tmp_path / "nowhere" / "out.jsonl")


@posix
def test_a_pipe_is_no_file(tmp_path):
    """It is refused at once, though nobody reads it."""
    os.mkfifo(tmp_path / "out.jsonl")
    with pytest.raises(ConfigurationError, match="is no file on a disk"):
        smap(str, [1], checkpoint=tmp_path / "out.jsonl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is none")
@pytest.mark.parametrize("device", ["/dev/full", "/dev/null"])
def test_a_device_is_no_file(device):
    """Refused before anything is done."""
    with pytest.raises(ConfigurationError, match=f"{device} is no file on a disk"):
        smap(str, [1], checkpoint=device)


@pytest.fixture
def readonly():
    """A folder that we can look into, and not write to; with root's rights laid down."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        (path / "there.jsonl").write_bytes(WHOLE)
        path.chmod(0o555)
        as_root = hasattr(os, "geteuid") and os.geteuid() == 0
        if as_root:
            os.seteuid(65_534)
        try:
            yield path
        finally:
            if as_root:
                os.seteuid(0)
            path.chmod(0o755)


@posix
@pytest.mark.parametrize("name", ["new.jsonl", "there.jsonl"])
def test_a_folder_that_cannot_be_written_to(readonly, name):
    """The system's own error, with the place; what is there stays as it is."""
    with pytest.raises(PermissionError, match=name):
        smap(str, ["a"], checkpoint=readonly / name)
    assert (readonly / "there.jsonl").read_bytes() == WHOLE


@posix
def test_a_link_stays_a_link(tmp_path):
    """The files behind it are written to, and the lines of failures that are left out are left out there."""
    real = tmp_path / "real"
    real.mkdir()
    for name in ("out.jsonl", "out.failures.jsonl"):
        (real / name).touch()
        (tmp_path / name).symlink_to(real / name)
    (real / "out.failures.jsonl").write_bytes(
        b'{"id":"a","reason":"x","error":"e","retriable":true}\n{"id":"b","reason":"x","error":"e","retriable":false}\n'
    )
    smap(str, ["a"], checkpoint=tmp_path / "out.jsonl", id=str).run()
    assert (real / "out.jsonl").read_bytes() == b'{"id":"a","value":"a"}\n'
    assert (real / "out.failures.jsonl").read_bytes().count(b"\n") == 1
    assert (tmp_path / "out.failures.jsonl").is_symlink()


# -- full


class Disk:
    """A disk on which there is room for so many bytes more."""

    def __init__(self, room):
        self.room = room
        self._write = os.write

    def write(self, descriptor, data):
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._write(descriptor, data[: self.room])
        self.room -= written
        return written


ITEMS = [f"item {number}" for number in range(60)]


@pytest.mark.parametrize("room", [0, 1, 33, 34, 35, 500, 1000, 2039])
@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_a_disk_that_is_full_half_way(path, room, kind, monkeypatch):
    """The error names the file, the file ends in a whole line, what was handed out is in it; resumed, all is there."""
    handed = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", Disk(room).write)
        with pytest.raises(OSError, match=r"No space left on device: '.*out\.jsonl'") as caught:
            if kind == "threads":
                handed.extend(smap(str, ITEMS, checkpoint=path, id=str, workers=3))
            else:

                async def fn(item):
                    await asyncio.sleep(0)
                    return item

                async def main():
                    async for value in amap(fn, ITEMS, checkpoint=path, id=str, workers=3, progress=False):
                        handed.append(value)  # noqa: PERF401  # one by one

                asyncio.run(main())
    assert is_whole(path)
    kept = {json.loads(line)["value"] for line in path.read_bytes().splitlines()}
    assert kept.issuperset(handed)
    assert any("the same call again goes on from there" in note for note in caught.value.__notes__)
    calls = []
    run = smap(lambda item: calls.append(item) or item, ITEMS, checkpoint=path, id=str)
    assert list(run) == ITEMS
    assert sorted(calls) == sorted(set(ITEMS) - kept)


def test_no_room_for_failures_either(path, failures, monkeypatch):
    """Results of the same moment are kept; the error names the file that it could not write."""

    def fn(item):
        raise ValueError(item)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", Disk(10).write)
        with pytest.raises(OSError, match=r"No space left on device: '.*out\.failures\.jsonl'"):
            smap(fn, ITEMS, checkpoint=path, errors="return").run()
    assert not failures.exists()


def test_no_room_to_resume(path, failures, monkeypatch):
    """Where failures that are to be asked again can't be taken out of their file, it stays as it was, and is free."""
    path.write_bytes(b'{"id":"a","value":1}\n')
    before = (
        b'{"id":"a","reason":"x","error":"e","retriable":true}\n{"id":"b","reason":"x","error":"e","retriable":false}\n'
    )
    failures.write_bytes(before)
    with monkeypatch.context() as patched:

        def fsync(descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        patched.setattr(os, "fsync", fsync)
        patched.setattr("stable_openai.bulk.files._sync_folder", lambda folder: None)
        with pytest.raises(OSError, match=r"No space left on device: '.*failures\.jsonl\.part'"):
            smap(str, ["a"], checkpoint=path, id=str)
    assert failures.read_bytes() == before
    assert sorted(one.name for one in path.parent.iterdir()) == ["out.failures.jsonl", "out.jsonl"]
    smap(str, ["a"], checkpoint=path, id=str).run()
    assert failures.read_bytes().count(b"\n") == 1


LIMITED = """
import resource, signal, sys, stable_openai
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
handed = 0
try:
    for _ in stable_openai.map(str, range(500), checkpoint=sys.argv[1], id=str, progress=False):
        handed += 1
except OSError as error:
    print(handed, error.strerror, error.__notes__[-1], sep=chr(10))
"""


@posix
def test_a_file_that_may_grow_no_further(path):
    """For once by the system itself: a limit of 1,000 bytes a file."""
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, path], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    handed, told, note = run.stdout.splitlines()
    assert told == os.strerror(errno.EFBIG)
    assert f"of 500 results are in {path}: the same call again goes on from there" in note
    assert is_whole(path)
    assert path.stat().st_size <= 1000
    assert int(handed) <= path.read_bytes().count(b"\n")
    assert len(list(smap(str, range(500), checkpoint=path, id=str))) == 500


def test_a_writer_that_fails_otherwise(path, monkeypatch):
    """Whatever it is: whoever iterates is told, and does not wait for ever."""

    def append(checkpoint, results, failures):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "append", append)
        with pytest.raises(MemoryError):
            next(smap(str, ITEMS, checkpoint=path))
    smap(str, ITEMS, checkpoint=path).run()


# -- opened and not run


def test_lines_that_are_being_written_are_not_looked_at(path):
    """Who reads the results of a run that goes on sees those that are on the disk, and takes nothing away."""
    checkpoint = Checkpoint(path, ValueForm())
    checkpoint.append([LINES[0]], [])
    with path.open("ab") as file:
        file.write(LINES[1][:5])  # as another thread does at this moment
    assert [line["id"] for line in checkpoint.results()] == ["a"]
    assert path.read_bytes() == LINES[0] + LINES[1][:5]
    checkpoint.append([LINES[1]], [])
    assert path.read_bytes() == LINES[0] + LINES[1]
    checkpoint.close()
    checkpoint.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        checkpoint.append([LINES[2]], [])


def test_a_run_that_is_never_begun_lets_go(path):
    """When it is forgotten; there is an empty file then."""
    run = smap(str, [1], checkpoint=path)
    del run
    with contextlib.closing(smap(str, [1], checkpoint=path)):
        pass
    assert path.read_bytes() == b""
    assert [one.name for one in path.parent.iterdir()] == ["out.jsonl"]
