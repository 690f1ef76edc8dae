"""The time of a machine: set clocks, another boot, and machines that go back."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import freezegun
import pytest

from stable_openai.stores.shared.sqlite import machine_time


class Machine:
    """A machine of which clocks and boots can be set; as the module ``time``, too."""

    def __init__(self):
        self.up = 500.0
        self.wall = 1_700_000_000.0
        self.boot = "boot-1"

    def monotonic(self):
        return self.up

    def time(self):
        return self.wall

    def pass_(self, seconds):
        self.up += seconds
        self.wall += seconds

    def restart(self, seconds):
        self.boot += "+"
        self.wall += seconds
        self.up = 3.0


@pytest.fixture
def machine(monkeypatch):
    machine = Machine()
    monkeypatch.setattr(machine_time, "time", machine)
    monkeypatch.setattr(machine_time, "_this_boot", lambda: machine.boot)
    return machine


@pytest.fixture
def moment(make):
    """``moment()``: when an entry is taken by a process that starts now; ``moment(journal)``: by one that runs."""
    last = []

    def moment(journal=None):
        own = journal or make()
        if not last:
            own.begin("one", b"")
        done = own.append("one", last[-1] if last else None, ["x"], wake=False)
        if journal is None:
            own.close()
        last.append(machine_time_entry(done))
        return done.at

    def machine_time_entry(done):
        from stable_openai.stores.shared.journal import Entry

        return Entry(done.seqs[0], done.at, "x")

    return moment


def test_it_begins_with_the_wall_clock(machine, moment):
    """And goes on with the monotonic one."""
    assert moment() == 1_700_000_000.0
    machine.pass_(10)
    assert moment() == 1_700_000_010.0


@pytest.mark.parametrize("by", [3600.0, -3600.0, 86_400 * 365.0])
def test_setting_the_wall_clock_moves_nothing(machine, moment, make, by):
    """Neither for processes that run nor for those that start then: no window is freed, none blocked."""
    running = make()
    moment(running)
    machine.wall += by
    machine.pass_(5)
    assert moment(running) == 1_700_000_005.0
    assert moment() == 1_700_000_005.0
    machine.pass_(5)
    assert moment(running) == 1_700_000_010.0


def test_a_restart(machine, moment):
    """Time has moved on by the wall clock; each process of the new boot goes by the same anchor."""
    moment()
    machine.pass_(100)
    machine.restart(60)
    assert moment() == 1_700_000_160.0
    machine.pass_(5)
    machine.wall += 999
    assert moment() == 1_700_000_165.0


def test_a_restart_with_a_clock_that_is_behind(machine, moment):
    """Time does not go back: it goes on from the last entry."""
    moment()
    machine.pass_(100)
    assert moment() == 1_700_000_100.0
    machine.restart(0)
    machine.wall = 0.0
    assert moment() == 1_700_000_100.0
    machine.pass_(7)
    assert moment() == 1_700_000_107.0


def test_a_machine_that_was_set_back(machine, moment, make):
    """The same boot, an earlier moment: time stands still for a moment rather than for as long as it went back."""
    running = make()
    moment(running)
    machine.pass_(1000)
    moment(running)
    machine.pass_(-800)
    assert moment() == 1_700_001_000.0
    machine.pass_(5)
    assert moment() == 1_700_001_005.0
    assert moment(running) == 1_700_001_005.0


def test_a_running_process_is_set_back(machine, moment, make):
    """Where it alone sees that, it sets the anchor."""
    running = make()
    moment(running)
    machine.pass_(1000)
    moment(running)
    machine.pass_(-800)
    assert moment(running) == 1_700_001_000.0
    machine.pass_(5)
    assert moment(running) == 1_700_001_005.0
    assert moment() == 1_700_001_005.0


def test_an_anchor_that_another_process_has_set(machine, moment, make):
    """A running process takes it over as soon as it meets an entry from what is the future to it; a reading one too."""
    running, reading = make(), make()
    moment(running)
    reading.open()
    machine.boot = "as seen where boots have no name"
    machine.wall += 5000
    assert moment() == 1_700_005_000.0
    machine.pass_(2)
    read = reading.append("one", None, [], wake=False)
    assert len(read.missed) == 2
    assert read.at == 1_700_005_002.0
    assert moment(running) == 1_700_005_002.0
    machine.pass_(2)
    assert moment(running) == 1_700_005_004.0


def test_a_frozen_clock_does_no_lasting_harm(moment, make):
    """Tests that freeze time may share a file with what comes after them."""
    running = make()
    before = moment(running)
    with freezegun.freeze_time("2040-01-01"):
        frozen = moment(running)
        assert moment() >= frozen
    after = moment(running)
    assert moment() > after >= frozen > before


def test_a_time_that_is_given(make):
    """It is used as it is, and nothing is anchored; where it goes back, entries don't."""
    now = [50.0]
    journal = make(time=lambda: now[0])
    journal.begin("one", b"")
    assert journal.append("one", None, ["x"], wake=False).at == 50.0
    now[0] = 49.0
    assert journal.append("one", None, ["y", "z"], wake=False).at == 50.0
    read = journal.append("one", None, [], wake=False)
    assert read.at == 50.0
    assert [entry.at for entry in read.missed] == [50.0, 50.0, 50.0]
    assert journal.append("one", read.missed[-1], ["a"], wake=False).at == 50.0
    now[0] = 51.0
    assert journal.append("one", None, ["b"], wake=False).at == 51.0


def test_what_is_stored(make, path):
    """This boot, by its name."""
    make().begin("one", b"")
    with closing(sqlite3.connect(path)) as connection:
        boot, offset = connection.execute("SELECT boot, offset FROM clock").fetchone()
    assert boot == machine_time._this_boot()
    assert offset > 0


def test_boots_without_a_name(monkeypatch):
    """They are told apart by their moments, give or take a minute."""
    machine = Machine()
    monkeypatch.setattr(machine_time, "time", machine)
    monkeypatch.setattr(machine_time, "_BOOT_NAME", "/there/is/none")
    first = machine_time._this_boot()
    assert first == "1699999500"
    machine.wall += 59
    assert machine_time._same_boot(first, machine_time._this_boot())
    machine.wall += 2
    assert not machine_time._same_boot(first, machine_time._this_boot())
    assert not machine_time._same_boot(first, "a-name")
    assert machine_time._same_boot("a-name", "a-name")
