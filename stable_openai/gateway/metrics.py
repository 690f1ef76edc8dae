"""Metrics in Prometheus' text, by the extra ``metrics``. Names of keys and tokens are labels; secrets never are."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stable_openai.stores.snapshots import KeyStatus

    from .seen import Seen

__all__ = ["Metrics", "NoMetrics", "make_metrics"]

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_WORKERS: Final = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus_client lets the processes of one server meet


class NoMetrics:
    """Stands where ``prometheus_client`` is not installed."""

    def attempt(self, key: str, verdict: str) -> None:
        """An attempt is over."""

    def began(self) -> None:
        """A request has come."""

    def ended(self, seen: Seen) -> None:
        """A request is over."""

    def waits(self, change: int) -> None:
        """So many more requests wait for a key."""

    def text(self, keys: Sequence[KeyStatus]) -> tuple[bytes, str] | None:  # noqa: ARG002  # as the other's
        """What is to be read, of all workers, and its type; None: there is nothing.

        Args:
            keys: The keys' state.
        """
        return None


class Metrics(NoMetrics):
    """Counts, in a registry of its own.

    Args:
        library: ``prometheus_client``.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._registry = registry = library.CollectorRegistry()
        name = "stable_openai_gateway"
        self._requests = library.Counter(
            f"{name}_requests", "Requests that are over.", ["route", "status", "token"], registry=registry
        )
        self._attempts = library.Counter(
            f"{name}_attempts", "Requests to providers, by what they met.", ["key", "verdict"], registry=registry
        )
        self._seconds = library.Histogram(
            f"{name}_request_seconds", "Seconds from a request to the end of its answer.", ["route"],
            buckets=_BUCKETS, registry=registry,
        )  # fmt: skip
        self._flying = library.Gauge(
            f"{name}_in_flight", "Requests that are under way.", registry=registry, multiprocess_mode="livesum"
        )
        self._waiting = library.Gauge(
            f"{name}_waiting", "Requests that wait for a key.", registry=registry, multiprocess_mode="livesum"
        )
        self._made: dict[Any, Any] = {}  # looking labels up costs more than counting

    def attempt(self, key: str, verdict: str) -> None:
        self._child(self._attempts, key, verdict).inc()

    def began(self) -> None:
        self._flying.inc()

    def ended(self, seen: Seen) -> None:
        route = seen.route
        self._flying.dec()
        self._child(self._requests, route, str(seen.status), seen.token).inc()
        self._child(self._seconds, route).observe(seen.seconds)

    def waits(self, change: int) -> None:
        self._waiting.inc(change)

    def _child(self, metric: Any, *labels: str) -> Any:
        found = self._made.get((metric, labels))
        if found is None:
            found = self._made[metric, labels] = metric.labels(*labels)
        return found

    def text(self, keys: Sequence[KeyStatus]) -> tuple[bytes, str] | None:
        counted = self._registry
        if _WORKERS in os.environ:
            counted = self._library.CollectorRegistry()
            importlib.import_module("prometheus_client.multiprocess").MultiProcessCollector(counted)
        looked_up = self._library.CollectorRegistry()
        looked_up.register(_Keys(keys))
        text = self._library.generate_latest(counted) + self._library.generate_latest(looked_up)
        return text, self._library.CONTENT_TYPE_LATEST


class _Keys:
    """The keys' state, as it was looked up for this."""

    def __init__(self, keys: Sequence[KeyStatus]) -> None:
        self._keys = keys
        self._gauge: Callable[..., Any] = importlib.import_module("prometheus_client.core").GaugeMetricFamily

    def collect(self) -> Iterator[Any]:
        name = "stable_openai_key"
        standing = self._gauge(f"{name}_standing", "1 for the state that a key is in.", labels=["key", "standing"])
        flying = self._gauge(f"{name}_in_flight", "Calls that run under a key.", labels=["key"])
        left = self._gauge(f"{name}_rest_seconds", "Seconds until a key may be used again.", labels=["key"])
        for key in self._keys:
            standing.add_metric([key.name, key.standing], 1)
            flying.add_metric([key.name], key.in_flight)
            left.add_metric([key.name], key.seconds_left)
        yield from (standing, flying, left)


def make_metrics() -> NoMetrics:
    """Metrics, where ``prometheus_client`` is installed."""
    try:
        library = importlib.import_module("prometheus_client")
    except ImportError:
        return NoMetrics()
    return Metrics(library)
