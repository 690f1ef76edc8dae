"""``stable-openai status``."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stable_openai.pool.table import table_of
from stable_openai.stores.opening import MEMORY, check_store, shown

from .complaints import complaints

if TYPE_CHECKING:
    from stable_openai.stores.snapshots import KeyStatus

__all__ = ["command"]


@click.command("status", short_help="Show the keys of a pool, and how they are doing.")
@click.option(
    "--pool",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A keys.toml.  [default: that of STABLE_OPENAI_POOL, else the kept keys, else those of the environment]",
)
@click.option(
    "--store",
    metavar="URL",
    help="Where the pool's counts are.  [default: the file's, else that of STABLE_OPENAI_STORE, else memory://]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(file: Path | None, store: str | None, *, as_json: bool) -> None:
    """Show the keys of a pool: their owners, their state, their limits, and what of these is used. Never a secret.

    Counts and states are those of the pool's store. A store that processes share is only read: nobody joins, and
    no key is needed to look. The store memory:// belongs to one process, so what other programs do with these keys
    can't be seen from here.

    \b
    Examples:
      stable-openai status
      stable-openai status --pool keys.toml
      stable-openai status --store redis://localhost/0
      stable-openai status --store sqlite:///keys.db --json
    """
    with complaints():
        view = _look(file, store)
        click.echo(view.as_json() if as_json else view.as_text())


@dataclass(frozen=True)
class _View:
    """What there is to be seen: of how many keys, from where, in which order, in which store."""

    keys: list[KeyStatus]
    source: str
    strategy: str
    store: str
    workers: int | None = None

    def as_text(self) -> str:
        count = "1 key" if len(self.keys) == 1 else f"{len(self.keys)} keys"
        head = f"{count} {self.source}, {self.strategy}"
        if self.workers is None:
            return (
                f"{head}\n\n{table_of(self.keys)}\n\n"
                "Counts and states are this process's own, so nothing is used yet: the store memory:// is not shared "
                "with other programs."
            )
        shared = "1 process shares" if self.workers == 1 else f"{self.workers} processes share"
        return f"{head}; {shared} them now\n\n{table_of(self.keys)}"

    def as_json(self) -> str:
        content = {
            "source": self.source,
            "strategy": self.strategy,
            "store": self.store.partition("://")[0],  # the rest of an address may hold a password
            "shared": self.workers is not None,
            "workers": self.workers,
            "keys": [_finite(asdict(key)) for key in self.keys],
        }
        return json.dumps(content, ensure_ascii=False, indent=1)


def _look(file: Path | None, store: str | None) -> _View:
    from .opening import keys_for_looking, open_pool, store_for_looking

    url = check_store(store_for_looking(file) if store is None else store)
    if url == MEMORY:
        pool, source = open_pool(file, store=url)
        with pool:
            return _View(pool.status(), source, pool.options.strategy_name, url)
    from stable_openai.stores.shared.reading import read_store

    found = read_store(url, keys_for_looking(file))
    return _View(found.keys, f"in {shown(url)}", found.strategy, url, found.workers)


def _finite(value: Any) -> Any:
    """What JSON can hold: it knows no infinity; null stands for "until somebody revives it"."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and math.isinf(value) else value
