"""A store against a slow, obvious model: no grant beyond a limit, and no eligible key left unused.

Here the one in memory; ``tests/stores/conformance`` has the shared ones.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stable_openai.clock import ManualClock
from stable_openai.errors import RequestTooLarge
from stable_openai.keys import Key
from stable_openai.limits import Limits, Window
from stable_openai.stores.lanes import Habits, Kind, Standing
from stable_openai.stores.memory import MemoryStore
from stable_openai.stores.protocol import Ask, Effect, Grant, Outcome

INF = float("inf")
GUARD = 0.0051  # of a period: entries of overlapping calls are kept half a percent longer
MODELS = [None, "alpha", "beta"]

limits = st.builds(
    Limits,
    rpm=st.none() | st.integers(1, 4),
    rpd=st.none() | st.integers(1, 12),
    tpm=st.none() | st.integers(5, 40),
    max_concurrency=st.none() | st.integers(1, 3),
    windows=st.sampled_from([(), (Window("requests", 2, seconds=10),)]),
)
keys = st.lists(
    st.tuples(
        limits, st.sampled_from([None, "org-1", "org-2"]), st.sampled_from([None, ("alpha",), ("alpha", "beta")])
    ),
    min_size=1,
    max_size=4,
)


class Obvious:
    """One lane as a list of everything that ever happened to it."""

    def __init__(self, told: Limits) -> None:
        self.told = told
        self.log: list[list[float]] = []  # [moment, tokens]
        self.flights = 0
        self.out_until = -INF
        self.cooled = False  # a second rest in a row is longer and ends with a trial, which has tests of its own

    def allows(self, now: float, tokens: int, guard: float = 0.0) -> bool:
        if now < self.out_until:
            return False
        if self.told.max_concurrency is not None and self.flights >= self.told.max_concurrency:
            return False
        for window in self.told.all_windows():
            recent = [entry for entry in self.log if entry[0] + window.seconds * (1 + guard) > now]
            if window.what == "requests" and len(recent) + 1 > window.limit:
                return False
            if window.what == "tokens" and tokens and sum(entry[1] for entry in recent) + tokens > window.limit:
                return False
        return True


class StoreMachine(RuleBasedStateMachine):
    """Random calls on the store and on the model side by side."""

    def make_store(self):
        return MemoryStore("round-robin", Habits(self.clock))

    @initialize(
        keys=keys, owners=st.dictionaries(st.sampled_from(["org-1", "org-2"]), limits), by_model=st.none() | limits
    )
    def build(self, keys, owners, by_model):
        self.clock = ManualClock()
        self.store = self.make_store()
        self.lanes: dict[tuple, Obvious] = {}
        self.keys: dict[str, Key] = {}
        for name, told in owners.items():
            self.store.set_owner(name, told, {})
            self.lanes["owner", name] = Obvious(told)
        entries = []
        for index, (told, owner, models) in enumerate(keys):
            model_limits = {} if by_model is None or index else {"alpha": by_model}
            key = Key(f"sk-{index:020d}", owner=owner, models=models, limits={"*": told, **model_limits})
            name = f"key-{index}"
            entries.append((key, name, told))
            self.keys[name] = key
            self.lanes["key", name] = Obvious(told)
            for model, model_told in model_limits.items():
                self.lanes["model", name, model] = Obvious(model_told)
        self.store.add(entries)
        self.running: list[tuple[Grant, list, bool]] = []

    def lanes_of(self, name, model):
        found = [("key", name), ("model", name, model), ("owner", self.keys[name].owner)]
        return [self.lanes[lane] for lane in found if lane in self.lanes]

    def eligible(self, model, tokens, guard=0.0):
        """The keys that may be granted; with a guard, those that must be, whatever calls have overlapped."""
        now = self.clock.monotonic()
        fit = [n for n, key in self.keys.items() if model is None or key.models is None or model in key.models]
        return {name for name in fit if all(lane.allows(now, tokens, guard) for lane in self.lanes_of(name, model))}

    def note(self, grant, tokens, *, adopted=False):
        entries = []
        for lane in self.lanes_of(grant.name, grant.model):
            entry = [self.clock.monotonic(), tokens]
            lane.log.append(entry)
            lane.flights += 1
            entries.append((lane, entry))
        self.running.append((grant, entries, adopted))

    @rule(model=st.sampled_from(MODELS), tokens=st.sampled_from([0, 0, 1, 3, 9, 50]))
    def ask(self, model, tokens):
        eligible = self.eligible(model, tokens)
        surely = self.eligible(model, tokens, GUARD)
        try:
            found = self.store.grant(Ask(model, tokens))
        except RequestTooLarge:
            assert not eligible
            return
        if isinstance(found, Grant):
            assert found.name in eligible, "granted a key that is not eligible"
            self.note(found, tokens)
        else:
            assert not surely, f"left {surely} unused"
            assert found.at > self.clock.monotonic()

    @rule(model=st.sampled_from(MODELS))
    def ask_quickly(self, model):
        eligible = self.eligible(model, 0)
        slot = self.store.quick(model)
        if slot is not None:
            assert slot.member.name in eligible
            self.note(self.store.adopt(slot, Ask(model)), 0, adopted=True)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), used=st.none() | st.integers(0, 60), unused=st.booleans())
    def settle(self, data, used, unused):
        grant, entries, adopted = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        if adopted:
            unused = False
        self.store.settle(grant, Outcome(success=not unused, unused=unused, tokens=None if unused else used))
        for lane, entry in entries:
            lane.flights -= 1
            if unused:
                lane.log = [other for other in lane.log if other is not entry]
            elif used is not None and not adopted:
                entry[1] = used

    @precondition(lambda self: self.running and not any(lane.cooled for lane in self.lanes.values()))
    @rule(seconds=st.sampled_from([0.5, 5.0, 61.0]), kind=st.sampled_from([Kind.KEY, Kind.OWNER, Kind.KEY_AND_MODEL]))
    def cool(self, seconds, kind):
        grant, entries, _ = self.running.pop()
        model, name = grant.model, grant.name
        self.store.settle(grant, Outcome(effect=Effect(kind, Standing.COOLING, seconds, "limit")))
        for lane, _ in entries:
            lane.flights -= 1
        if kind is Kind.OWNER and self.keys[name].owner is not None:
            key = ("owner", self.keys[name].owner)
        elif kind is Kind.KEY_AND_MODEL and model is not None:
            key = ("model", name, model)
        else:
            key = ("key", name)
        lane = self.lanes.setdefault(key, Obvious(Limits()))
        lane.cooled = True
        lane.out_until = max(lane.out_until, self.clock.monotonic() + seconds)
        # A lane that is made now did not count the calls that were already running, and neither does the model.

    @rule(seconds=st.sampled_from([0.25, 1.0, 9.75, 10.0, 30.0, 59.75, 60.0, 3600.0, 86400.0]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def revive(self):
        self.store.revive(None)
        for lane in self.lanes.values():
            lane.out_until = -INF
            lane.cooled = False

    @invariant()
    def flights_agree(self):
        if hasattr(self, "store"):
            assert self.store.pending_work() == len(self.running)


StoreMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestStore = StoreMachine.TestCase
