"""Results as a table: the input's own columns, in its order, and what came of each row."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stable_openai.beside import written_beside
from stable_openai.errors import ConfigurationError

from .counting import used
from .endpoints import EMBEDDINGS
from .output import answer_text, body_of, error_text, usage_of, vector_of
from .parquet_files import arrow, write_parquet
from .problems import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from .request import Request
    from .source import Source

__all__ = ["TABLES", "Layout", "table_kind", "write_table"]

TABLES: Final = ("csv", "tsv", "parquet")
_RESULTS: Final = ("answer", "error", "prompt_tokens", "completion_tokens", "model")
_ID: Final = "custom_id"
_NOT_ASKED: Final = "not asked yet"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a table looks like.

    Attributes:
        own: The input's columns.
        results: The names of what came of it, none of which is among those.
        vectors: Whether each answer is to be a list of numbers: that of an embedding.
    """

    own: tuple[str, ...]
    results: tuple[str, ...]
    vectors: bool


def table_kind(path: str | os.PathLike[str], kind: str | None = None) -> str:
    """The kind of a table: as told, else as its name tells.

    Raises:
        ConfigurationError: There is no such kind.
    """
    found = Path(path).suffix.lower().removeprefix(".") if kind is None else kind
    if found not in TABLES:
        raise ConfigurationError(
            "--output", f"must be one of {', '.join(TABLES)}, not {shown(kind or os.fspath(path))}"
        )
    return found


def write_table(
    source: Source,
    lines: Callable[[str], Mapping[str, Any] | None],
    path: str | os.PathLike[str],
    kind: str | None = None,
) -> int:
    """Write the results in the order of the input, a row for each request: ever so many, in flat memory.

    The input's columns come first (of a Batch file, ``custom_id``), then ``answer``, ``error``, ``prompt_tokens``,
    ``completion_tokens`` and ``model``, with a number behind those names that the input has too. Cells hold the data
    as it is: what a spreadsheet would take for a formula is left alone. In Parquet, embeddings are lists of numbers
    where each request of the file asks for one.

    Args:
        source: The input.
        lines: Gives the line of an answer or of a failure, by the request's id; None where there is none yet.
        path: The table.
        kind: ``"csv"``, ``"tsv"`` or ``"parquet"``; None: as the name tells.

    Returns:
        How many rows it has.

    Raises:
        ConfigurationError: There is no such kind, or what it needs is not installed; or the path is the input's.
        OSError: It can't be written; a table that was there stays as it was.
    """
    kind = table_kind(path, kind)
    source.check_output(path)
    if kind == "parquet":
        arrow()  # is missed before anything is read
    layout = _layout(source, vectors=kind == "parquet")
    rows = _rows(source, lines, layout)
    with written_beside(path) as beside:
        if kind == "parquet":
            return write_parquet(beside, layout.own, layout.results, rows, vectors=layout.vectors)
        return _write_delimited(beside, layout, rows, "," if kind == "csv" else "\t")


def _layout(source: Source, *, vectors: bool) -> Layout:
    own: dict[str, None] = {}  # a set that keeps its order
    for request in source.good_requests():
        own.update(dict.fromkeys((_ID,) if request.row is None else request.row))
        vectors = vectors and _is_one_vector(request)
    return Layout(tuple(own), tuple(_free(name, own) for name in _RESULTS), vectors)


def _free(name: str, taken: Collection[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _is_one_vector(request: Request) -> bool:
    given = request.body.get("input")
    if request.url != EMBEDDINGS or not given:
        return False
    return isinstance(given, str) or len(given) == 1 or isinstance(given[0], int)  # one text, or the tokens of one


def _rows(source: Source, lines: Callable[[str], Mapping[str, Any] | None], layout: Layout) -> Iterator[list[Any]]:
    for request in source.good_requests():
        row = {_ID: request.id} if request.row is None else request.row
        yield [
            *(row.get(name, "") for name in layout.own),
            *_results(request, lines(request.id), vector=layout.vectors),
        ]


def _results(request: Request, line: Mapping[str, Any] | None, *, vector: bool) -> list[Any]:
    if line is None:
        return [None, _NOT_ASKED, None, None, None]
    body = body_of(line)
    if body is None:
        return [None, _clean(error_text(line)), None, None, None]
    answer = vector_of(body) if vector else _clean(answer_text(request.url, body))
    prompt, completion = used(usage_of(body) or {}) or (None, None)
    model = body.get("model")
    return [answer, None, prompt, completion, _clean(model) if isinstance(model, str) else None]


def _clean(text: str) -> str:
    """Without halves of characters, which a model may send and no file can hold."""
    return text.encode("utf-8", "replace").decode()


def _write_delimited(path: Path, layout: Layout, rows: Iterator[list[Any]], delimiter: str) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)  # its lines end with CR LF (RFC 4180), and it quotes both
        writer.writerow([*layout.own, *layout.results])
        for count, row in enumerate(rows, 1):  # noqa: B007  # how many it were
            writer.writerow(row)
    return count
