"""Signs of life to a store that is there, and attempts to reach one that is lost."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from stable_openai.errors import StoreError

from .journal import Lost
from .ops import Op

if TYPE_CHECKING:
    from stable_openai.clock import Alarm, Clock

    from .speaking import Speaker

__all__ = ["Watch"]

_log: Final = logging.getLogger("stable_openai")
_PROBES: Final = (0.1, 1.0)  # seconds between two attempts to reach a lost store: at first, and at most
_BEATS: Final = 3  # signs of life within the time after which a worker is given up


class Watch:
    """What a speaker does at its own times.

    Attempts have a thread of their own: as long as they take, nobody else waits for them.

    Args:
        speaker: The speaker.
        clock: This machine's clock.
        system: Whether that is the system's; with another, all is done by whoever moves it.

    Attributes:
        trouble: What keeps the store away; "" where it is there.
    """

    def __init__(self, speaker: Speaker, clock: Clock, *, system: bool) -> None:
        self._link = speaker.link
        self._clock = clock
        self._system = system
        self.trouble = ""
        self._probe_in = _PROBES[0]
        self._probing: threading.Thread | None = None
        self._ended = False
        self._beat_every = self._link.lease_ttl / _BEATS
        self._on_beat = speaker.poster(lambda found: found.watch.give_sign(found))
        self._on_probe = speaker.poster(lambda found: found.watch.probe(found))
        self._probe_alarm: Alarm | None = None
        self._beat_alarm: Alarm | None = None
        self._schedule_beat()

    # -- signs of life

    def _schedule_beat(self) -> None:
        self._beat_alarm = self._clock.call_at(self._clock.monotonic() + self._beat_every, self._on_beat)

    def give_sign(self, speaker: Speaker) -> None:
        """Say that this worker is there, where it has said nothing for a while."""
        if self._ended:
            return
        spoke_at = self._link.spoke_at
        silent = self._clock.monotonic() - spoke_at >= self._beat_every / 2
        try:
            if not self.trouble and silent and spoke_at > float("-inf"):  # a child that was forked may never speak
                speaker.do(Op("beat"))
            if self._link.keeps_a_snapshot(self._beat_every):
                speaker.save(all_have_heard=True)
        except StoreError as error:
            _log.debug("no sign of life was given: %s", error)
        finally:
            if not self._ended:
                self._schedule_beat()

    # -- losing and finding the store

    def lose(self, trouble: str, *, raises: bool) -> None:
        """The store is lost: say so, and try to reach it."""
        self.trouble = trouble
        if self._ended:
            return
        workers = max(len(self._link.replica.workers), 1)
        if raises:
            _log.warning("the store is lost: %s", trouble)
        else:
            share = "with its limits" if workers == 1 else f"each of {workers} workers with its part of the limits"
            _log.warning("the store is lost, going on without it, %s: %s", share, trouble)
        self._probe_in = _PROBES[0]
        self._schedule_probe()

    def _schedule_probe(self) -> None:
        if not self._ended:
            self._probe_alarm = self._clock.call_at(self._clock.monotonic() + self._probe_in, self._on_probe)

    def probe(self, speaker: Speaker) -> None:
        """Try to reach the store again."""
        if self._ended or not self.trouble:
            return
        if not self._system:
            self._reach(speaker)
            return
        self._probing = threading.Thread(target=self._reach, args=(speaker,), name="stable_openai probe", daemon=True)
        self._probing.start()

    def _reach(self, speaker: Speaker) -> None:
        try:
            self._link.reach()  # nobody else speaks to it meanwhile
            speaker.return_to_all()
        except Exception as error:  # noqa: BLE001  # whatever it is, the next attempt is to be made
            if not isinstance(error, (Lost, StoreError)):
                _log.exception("an attempt to reach the store has failed")
            self.trouble = str(error) or type(error).__name__
            self._probe_in = min(2 * self._probe_in, _PROBES[1])
            self._schedule_probe()

    def is_back(self) -> None:
        """The store is there again."""
        self.trouble = ""
        _log.warning("the store is back")

    # -- ending

    def end(self) -> None:
        """Set no alarm any more; what runs goes on until ``join``."""
        self._ended = True
        for alarm in (self._beat_alarm, self._probe_alarm):
            if alarm is not None:
                alarm.cancel()

    def join(self) -> None:
        """Wait until an attempt that runs is over."""
        thread = self._probing
        if thread is not None and thread is not threading.current_thread():
            thread.join()
