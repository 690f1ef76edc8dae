"""The line against a slow, obvious model: in the order of arrival, no grant beyond a limit, no eligible key left unused."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stable_openai import KeyPool, ManualClock
from stable_openai.pool.waiting import Waiter
from stable_openai.stores.protocol import Ask, Grant, Outcome

MODELS = [None, "alpha", "beta"]
GUARD = 1.26  # a window's entries may be kept a quarter longer while calls overlap; then a key may rest, not must

keys = st.lists(
    st.fixed_dictionaries(
        {
            "limits": st.fixed_dictionaries(
                {}, optional={"rpm": st.integers(1, 4), "max_concurrency": st.integers(1, 3), "tpm": st.integers(8, 30)}
            ),
            "models": st.sampled_from([None, ("alpha",), ("alpha", "beta")]),
        }
    ),
    min_size=1,
    max_size=3,
)


class Recorder(Waiter):
    """Waits without a thread, and knows when it was served."""

    __slots__ = ("clock", "served_at")

    def deliver(self):
        self.served_at = self.clock.monotonic()
        return True


class Book:
    """One key as a list of everything that ever happened to it."""

    def __init__(self, key):
        self.key = key
        self.log: list[list[float]] = []  # [moment, tokens]
        self.flights = 0
        self.rests_until = float("-inf")
        self.rested = False  # it comes back step by step: then it need not take a second call at once

    def fits(self, ask):
        limits = self.key.limits
        right_model = ask.model is None or self.key.models is None or ask.model in self.key.models
        return right_model and not (limits.tpm is not None and ask.tokens > limits.tpm)

    def allows(self, now, tokens, *, period):
        limits = self.key.limits
        recent = [entry for entry in self.log if entry[0] + period > now]
        return (
            now >= self.rests_until
            and not (limits.rpm is not None and len(recent) + 1 > limits.rpm)
            and not (limits.tpm is not None and tokens and sum(entry[1] for entry in recent) + tokens > limits.tpm)
            and not (limits.max_concurrency is not None and self.flights + 1 > limits.max_concurrency)
        )


class LineMachine(RuleBasedStateMachine):
    """Calls come, are served, end, give up; time passes; keys are parked, revived, added and removed."""

    @initialize(described=keys)
    def build(self, described):
        self.clock = ManualClock()
        self.pool = KeyPool([], clock=self.clock)
        self.books: dict[str, Book] = {}
        self.waiting: list[Recorder] = []  # in the order in which they came
        self.running: list[tuple[Grant, Book, list]] = []
        self.parked = {}
        self.count = 0
        for fields in described:
            self.add(fields)

    @rule(fields=keys.map(lambda many: many[0]))
    def add(self, fields):
        self.count += 1
        name = self.pool.add(f"sk-{self.count:020d}", **fields)
        self.books[name] = Book(next(key for key in self.pool.keys if key.secret == f"sk-{self.count:020d}"))
        self.look()

    @precondition(lambda self: len(self.books) > 1)
    @rule(data=st.data())
    def remove(self, data):
        name = data.draw(st.sampled_from(sorted(self.books)))
        del self.books[name]
        self.pool.remove(name)
        self.look()

    @rule(
        model=st.sampled_from(MODELS),
        tokens=st.sampled_from([0, 0, 5, 12, 30]),
        patience=st.sampled_from([0, 5, 60, 500]),
    )
    def come(self, model, tokens, patience):
        deadline = self.pool.store.now() + patience
        waiter = Recorder(Ask(model, tokens, call=self.pool.line.ticket()), deadline)
        waiter.clock = self.clock
        self.waiting.append(waiter)
        self.pool.line.join(waiter)
        self.look()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data):
        waiter = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        self.pool.line.leave(waiter)
        self.look()

    @precondition(lambda self: self.running)
    @rule(data=st.data(), used=st.none() | st.integers(0, 12), unused=st.booleans())
    def end(self, data, used, unused):
        grant, book, entry = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        book.flights -= 1
        if unused:
            book.log = [other for other in book.log if other is not entry]
        elif used is not None:
            entry[1] = used
        self.pool.settle(grant, Outcome(success=not unused, unused=unused, tokens=None if unused else used))
        self.look()

    @rule(data=st.data(), seconds=st.sampled_from([3.0, 70.0]))
    def park(self, data, seconds):
        name = data.draw(st.sampled_from(sorted(self.books)))
        book = self.books[name]
        book.rests_until = max(book.rests_until, self.clock.monotonic() + seconds)
        book.rested = True
        self.pool.park(name, seconds)
        self.look()

    @rule()
    def revive(self):
        for book in self.books.values():
            book.rests_until, book.rested = float("-inf"), False
        self.pool.revive()
        self.look()

    @rule(seconds=st.sampled_from([0.25, 3.0, 9.75, 30.0, 60.0, 75.0]), steps=st.integers(1, 3))
    def wait(self, seconds, steps):
        for _ in range(steps):
            self.clock.advance(seconds)
            self.look()

    def look(self):
        """Check what was delivered since the last look, in the order in which it was."""
        ended = [waiter for waiter in self.waiting if waiter.result is not None]
        for waiter in sorted(ended, key=lambda waiter: waiter.served_at):
            earlier = self.waiting[: self.waiting.index(waiter)]
            if isinstance(waiter.result, Grant):
                assert not [
                    other
                    for other in earlier
                    if other.ask.model == waiter.ask.model and other not in ended and other.size <= waiter.size
                ], "overtook one that came before it and is not larger"
                self.note(waiter.result, waiter.ask, waiter.served_at)
        self.waiting = [waiter for waiter in self.waiting if waiter.result is None]

    def note(self, grant, ask, moment):
        book = self.books[grant.name]
        assert book.fits(ask)
        entry = [moment, ask.tokens]
        assert book.allows(entry[0], ask.tokens, period=60.0), "granted beyond a limit"
        book.log.append(entry)
        book.flights += 1
        self.running.append((grant, book, entry))

    @invariant()
    def no_window_was_exceeded(self):
        for book in getattr(self, "books", {}).values():
            limits, moments = book.key.limits, [entry[0] for entry in book.log]
            for start in moments:
                inside = [entry for entry in book.log if start <= entry[0] < start + 60.0]
                assert limits.rpm is None or len(inside) <= limits.rpm

    @invariant()
    def no_eligible_key_is_left_unused(self):
        now = self.clock.monotonic() if hasattr(self, "clock") else 0.0
        heads = {}
        for waiter in getattr(self, "waiting", ()):
            heads.setdefault(waiter.ask.model, waiter)
        for waiter in heads.values():
            for book in self.books.values():
                free = book.fits(waiter.ask) and not (book.rested and book.flights)
                assert not (free and book.allows(now, waiter.ask.tokens, period=60.0 * GUARD)), (
                    "somebody waits for a key that is eligible"
                )

    @invariant()
    def nobody_waits_beyond_his_deadline(self):
        if hasattr(self, "pool"):
            assert all(waiter.deadline > self.pool.store.now() for waiter in self.waiting)
            assert len(self.pool.line) == len(self.waiting)

    def teardown(self):
        if hasattr(self, "pool"):
            self.pool.close()
            assert all(waiter.result is not None for waiter in self.waiting)


LineMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLine = LineMachine.TestCase
