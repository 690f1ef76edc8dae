"""A cluster: the node that has the pool is found, and followed when the pool's slot moves."""

from __future__ import annotations

import threading

import pytest

from stable_openai.errors import StoreError
from stable_openai.stores.shared.journal import Entry, Lost
from tests.stores.redis.conftest import IDENTITY
from tests.stores.servers import Server, cluster_of


@pytest.fixture(scope="module")
def nodes(_a_program):
    nodes = [Server(cluster=True).start() for _ in range(3)]
    try:
        cluster_of(nodes)
        yield nodes
    finally:
        for node in nodes:
            node.close()


@pytest.fixture
def url(nodes):
    return f"redis+cluster://{','.join(node.address for node in nodes)}/"


class Slot:
    """The slot of a test's pool, as it moves from the node that has it to another."""

    def __init__(self, nodes, namespace):
        self.number = nodes[0].ask("CLUSTER", "KEYSLOT", f"{{{namespace}}}")
        ids = {node.ask("CLUSTER", "MYID"): node for node in nodes}
        self._nodes = nodes
        owner = _owner(nodes[0].ask("CLUSTER SLOTS"), self.number)
        self.source = next(node for node in nodes if node.port == owner)
        self.target = next(node for node in nodes if node.port != owner)
        self._ids = {node: id_ for id_, node in ids.items()}

    def begin(self):
        self.target.ask("CLUSTER", "SETSLOT", self.number, "IMPORTING", self._ids[self.source])
        self.source.ask("CLUSTER", "SETSLOT", self.number, "MIGRATING", self._ids[self.target])

    def move_keys(self):
        keys = self.source.ask("CLUSTER", "GETKEYSINSLOT", self.number, 100)
        assert self.source.ask("MIGRATE", "127.0.0.1", self.target.port, "", 0, 10_000, "KEYS", *keys) == "OK"

    def end(self):
        for node in (self.target, self.source, *self._nodes):
            node.ask("CLUSTER", "SETSLOT", self.number, "NODE", self._ids[self.target])


def _owner(slots, number):
    """The port of the node that has a slot: redis-py makes a mapping of the answer, or leaves it a list."""
    if isinstance(slots, dict):
        return next(nodes["primary"][1] for (first, last), nodes in slots.items() if first <= number <= last)
    return next(master[1] for first, last, master, *_ in slots if first <= number <= last)


def test_each_node_leads_there(nodes, journals):
    """Whichever is asked first; and a message from one node is heard at the others."""
    journals(f"redis+cluster://{nodes[0].address}").begin(IDENTITY, b"begun")
    heard = threading.Semaphore(0)
    listening = [journals(f"redis+cluster://{node.address}") for node in nodes]
    for journal in listening:
        journal.listen(heard.release)
        assert heard.acquire(timeout=20)
    last = None
    for number, node in enumerate(nodes, 1):
        journal = journals(f"redis+cluster://{node.address}")
        assert journal.open().snapshot == b"begun"
        made = journal.append(IDENTITY, last, ["a"], wake=True)
        assert list(made.seqs) == [number]
        last = Entry(number, made.at, "a")
        for _ in nodes:
            assert heard.acquire(timeout=20)


def test_a_node_as_if_it_were_alone(nodes, journals, namespace):
    """What is wrong is said in words."""
    other = next(node for node in nodes if node is not Slot(nodes, namespace).source)
    with pytest.raises(StoreError, match=r"this is a node of a cluster: say redis\+cluster://"):
        journals(other.url).open()


def test_the_slot_moves(nodes, url, journals, namespace):
    """While two threads append: before, during and after the move; no entry is lost, none is there twice."""
    slot = Slot(nodes, namespace)
    journals(url).begin(IDENTITY, b"")
    steps, stop, problems, seen = threading.Condition(), threading.Event(), [], {}
    counts = {"a": 0, "b": 0}

    def work(name):
        try:
            journal, last, all_of_it = journals(url), None, []
            while not stop.is_set():
                made = journal.append(IDENTITY, last, [f"{name}{counts[name]}"], wake=True)
                all_of_it += [*made.missed, Entry(made.seqs[0], made.at, f"{name}{counts[name]}")]
                last = all_of_it[-1]
                with steps:
                    counts[name] += 1
                    steps.notify_all()
            seen[name] = all_of_it
        except Exception as error:
            problems.append(error)
            raise

    def wait_for_more():
        with steps:
            goal = {name: count + 30 for name, count in counts.items()}
            assert steps.wait_for(lambda: problems or all(counts[name] >= goal[name] for name in counts), 20)

    threads = [threading.Thread(target=work, args=(name,)) for name in counts]
    for thread in threads:
        thread.start()
    for step in (lambda: None, slot.begin, slot.move_keys, slot.end):
        step()
        wait_for_more()
    stop.set()
    for thread in threads:
        thread.join(20)
    assert problems == []
    journal = journals(url)
    entries = journal.open().entries
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    for name, count in counts.items():
        assert [entry.text for entry in entries if entry.text[0] == name] == [f"{name}{n}" for n in range(count)]
        assert seen[name] == entries[: len(seen[name])]
    assert journal._exchange._wire.host == "127.0.0.1"
    assert journal._exchange._link.place.endswith(str(slot.target.port))


def test_half_moved(nodes, url, journals, namespace, monkeypatch):
    """A call that the cluster can't serve in the middle of a move waits for its end."""
    slot, journal = Slot(nodes, namespace), journals(url)
    journal.begin(IDENTITY, b"")  # there is no log yet, so that half of what an ``append`` needs is missing
    waits, made = threading.Event(), []
    follow = journal._exchange._follow

    def following(*args):
        waits.set()
        follow(*args)

    monkeypatch.setattr(journal._exchange, "_follow", following)
    slot.begin()
    thread = threading.Thread(target=lambda: made.append(journal.append(IDENTITY, None, ["a"], wake=False)))
    thread.start()
    assert waits.wait(20)
    slot.move_keys()
    slot.end()
    thread.join(20)
    assert list(made[0].seqs) == [1]
    assert [entry.text for entry in journals(url).open().entries] == ["a"]


def test_a_frozen_node_is_not_asked_again(nodes, journals, namespace):
    """Lost for once; then another node is asked the way."""
    slot = Slot(nodes, namespace)
    frozen = slot.target
    journal = journals(f"redis+cluster://{frozen.address},{slot.source.address}", timeout=0.5)
    frozen.freeze()
    try:
        with pytest.raises(Lost, match=rf"^redis://{frozen.address}: no answer within 0.5 s"):
            journal.open()
        assert journal.open() is None
    finally:
        frozen.thaw()
