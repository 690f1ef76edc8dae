"""Files that are written beside their place and renamed: whole or not at all, and nobody else's to see meanwhile."""

from __future__ import annotations

import os

import pytest

from stable_openai.beside import PRIVATE, written_beside

posix = pytest.mark.skipif(os.name != "posix", reason="modes and devices are POSIX's")


def mode_of(path):
    return path.stat().st_mode & 0o777


def test_it_takes_the_other_s_place_at_the_end(tmp_path):
    """Until then, the old one is there; nothing else is left."""
    path = tmp_path / "file"
    path.write_text("old")
    with written_beside(str(path)) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_no_trace(tmp_path):
    """Whatever was raised: the old one stays, or there is none."""
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_text("old")
    for each in (path, other):
        with pytest.raises(KeyboardInterrupt), written_beside(each) as beside:
            beside.write_text("half")
            raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@posix
@pytest.mark.parametrize("mode", [0o640, 0o600, 0o444])
def test_the_mode_stays_and_nobody_else_sees_it_half_written(tmp_path, mode):
    """Also that of a file that is not to be written to: it is replaced. A link stays one."""
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    path.chmod(mode)
    link.symlink_to(path)
    with written_beside(link) as beside:
        assert mode_of(beside) == 0o600
        beside.write_text("new")
    assert link.is_symlink()
    assert (path.read_text(), mode_of(path)) == ("new", mode)


@posix
def test_the_mode_of_a_new_one(tmp_path):
    """As the umask has it; or its owner's alone, from its first byte on, also where an open one was there."""
    umask = os.umask(0o027)
    try:
        with written_beside(tmp_path / "common"):
            pass
        (tmp_path / "private").touch(mode=0o644)
        with written_beside(tmp_path / "private", mode=PRIVATE, keeps_mode=False) as beside:
            assert mode_of(beside) == 0o600
    finally:
        os.umask(umask)
    assert mode_of(tmp_path / "common") == 0o640
    assert mode_of(tmp_path / "private") == 0o600


@posix
@pytest.mark.parametrize("keeps_mode", [True, False])
def test_what_is_no_file_is_not_replaced(tmp_path, keeps_mode):
    """A pipe, a device: what is written there would be in another place than meant, and the pipe gone."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="no regular file") as caught, written_beside(pipe, keeps_mode=keeps_mode):
        pass
    assert caught.value.filename == str(pipe)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]
