"""``stable-openai status``."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .complaints import complaints

if TYPE_CHECKING:
    from stable_openai.pool.pool import KeyPool

__all__ = ["command"]

_OWN_PROCESS: Final = "memory://"


@click.command("status", short_help="Show the keys of a pool, and how they are doing.")
@click.option(
    "--pool",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A keys.toml.  [default: the kept keys, else those of the environment]",
)
@click.option("--store", metavar="URL", help="Where the pool's counts are.  [default: the file's, else memory://]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(file: Path | None, store: str | None, *, as_json: bool) -> None:
    """Show the keys of a pool: their owners, their state, their limits, and what of these is used. Never a secret.

    Counts and states are those of the pool's store. The store memory:// belongs to one process, so what other programs
    do with these keys can't be seen from here; with a store that processes share, it can.

    \b
    Examples:
      stable-openai status
      stable-openai status --pool keys.toml
      stable-openai status --pool keys.toml --json
    """
    from .opening import open_pool

    options = {} if store is None else {"store": store}
    with complaints():
        pool, source = open_pool(file, **options)
        with pool:
            click.echo(_as_json(pool, source) if as_json else _as_text(pool, source))


def _is_shared(pool: KeyPool) -> bool:
    return pool.options.store != _OWN_PROCESS


def _as_text(pool: KeyPool, source: str) -> str:
    count = "1 key" if len(pool) == 1 else f"{len(pool)} keys"
    head = f"{count} {source}, {pool.options.strategy_name}"
    if _is_shared(pool):
        return f"{head}\n\n{pool}"
    return (
        f"{head}\n\n{pool}\n\n"
        "Counts and states are this process's own, so nothing is used yet: the store memory:// is not shared with "
        "other programs."
    )


def _as_json(pool: KeyPool, source: str) -> str:
    content = {
        "source": source,
        "strategy": pool.options.strategy_name,
        "store": pool.options.store.partition("://")[0],  # the rest of an address may hold a password
        "shared": _is_shared(pool),
        "keys": [_finite(asdict(key)) for key in pool.status()],
    }
    return json.dumps(content, ensure_ascii=False, indent=1)


def _finite(value: Any) -> Any:
    """What JSON can hold: it knows no infinity; null stands for "until somebody revives it"."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and math.isinf(value) else value
