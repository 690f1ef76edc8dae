"""The options of ``map`` and ``amap`` by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Hashable

    from stable_openai.pool.pool import KeyPool

    from .checkpoint import RetryFailed
    from .forms import Form
    from .progress import Progress

__all__ = ["MapOptions"]


class MapOptions(TypedDict, total=False):
    """What a run may be told.

    Attributes:
        workers: How many work at once; ``"auto"``: as many as the keys and their latency can use, adapted meanwhile (up
            to 256 threads or 1,024 tasks). Where no limits are known, that begins with eight for each key, and more are
            tried as answers come.
        order: ``"input"``: values come in the order of the items; ``"completed"``: as they end.
        errors: ``"raise"``: what the function raises is raised in the item's place, and the next call goes on;
            ``"return"``: exceptions stand among the values.
        checkpoint: A file of JSON lines: each value is on the disk before it counts as done, and the same call again
            goes on from there. Failures go to a file beside it, ``out.failures.jsonl`` to ``out.jsonl``.
        id: What the checkpoint knows an item by: the name of a field, or a function of the item, that gives a text or a
            whole number; each only once. Default: a hash of the item's content.
        retry_failed: Which failures of an earlier run are asked again: those that can succeed (``"retriable"``),
            ``"all"``, or ``"none"``.
        replay: Whether values that the checkpoint has already are handed out again, in their place.
        max_wait: The longest that the run waits for keys without a single answer, in seconds (default: a day).
        buffer: How many items may be in hand: taken from the input, and not yet handed out (default 10,000).
        total: How many items there are, where ``len(items)`` does not tell; for the progress.
        progress: Whether a bar is drawn on stderr (default: where that is a terminal); or ``tqdm``, or a class like it.
        pool: Whose keys the function uses, where it is not under ``@stable``: for the progress, the report, and the
            number of workers.
        encode: Makes what is kept in the checkpoint of a value.
        decode: Makes a value of what was kept.
        form: What the lines of the checkpoint look like, in place of ``{"id": …, "value": …}``.
    """

    workers: int | Literal["auto"]
    order: Literal["input", "completed"]
    errors: Literal["raise", "return"]
    checkpoint: str | os.PathLike[str] | None
    id: str | Callable[[Any], Hashable] | None
    retry_failed: RetryFailed
    replay: bool
    max_wait: float
    buffer: int
    total: int | None
    progress: bool | Progress | Callable[..., Any] | None
    pool: KeyPool | None
    encode: Callable[[Any], Any] | None
    decode: Callable[[Any], Any] | None
    form: Form | None
