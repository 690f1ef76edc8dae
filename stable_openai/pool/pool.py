"""The pool: keys with one strategy and one store, and the calls that wait for them."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any, Final

from stable_openai.clock import SYSTEM_CLOCK
from stable_openai.errors import ConfigurationError
from stable_openai.key_sources import keys_from_env, settings_from_file
from stable_openai.keys import Key, as_keys
from stable_openai.limits import Limits
from stable_openai.masking import hide

from .explanation import Explanation, explain
from .holding import Holding
from .options import Options, check_in_file
from .table import table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stable_openai.stores.snapshots import KeyStatus

__all__ = ["KeyPool"]

_NEVER: Final = float("inf")


class KeyPool(Holding):
    """Keys with one strategy and one store, safe in threads and tasks.

    Args:
        keys: Secrets, ``Key`` objects or mappings of their fields.
        strategy: ``"round-robin"`` (default), ``"random"``, ``"least-used"``, ``"rest-time"``, ``"weighted"``,
            ``"fill-first"``, or an object with a method ``rank(candidate)``.
        limits: Limits of each key that does not say its own; ``rpm``, ``rpd``, ``tpm``, ``tpd``, ``max_concurrency``,
            ``windows`` and ``zone`` may be given one by one instead.
        owners: Limits of owners by name: ``Limits``, or a mapping of model to ``Limits``.
        store: Where counts and cooldowns live: ``"memory://"``, this process's own; ``"sqlite:///keys.db"``, for the
            processes of one machine; ``"redis://host/0"``, ``"rediss://"``, ``"redis+cluster://h1:7000,h2:7001"``,
            ``"redis+sentinel://h1:26379,h2:26379/mymaster/0"``, for several machines. Shared counts survive a restart.
            ``?namespace=`` keeps pools apart that share a server or a file.
        on_store_error: What to do while a shared store is lost: ``"local"`` goes on without it, each process with its
            portion of what is left of the limits, and tells the store later; ``"raise"`` raises ``StoreError`` at once.
        store_timeout: The longest that one exchange with a shared store may take, in seconds (default 2).
        lease_ttl: How long nothing may be heard of a process until the others take back what it holds, in seconds
            (default 30).
        max_wait: The longest that a call waits for a key, in seconds (default 120).
        timeout: The longest that a call takes in all, attempts and waits together, in seconds; None for no bound.
        pace: Whether to spread the grants of a window evenly, for limits that are enforced by the second.
        minute: How long the provider's minute lasts, in seconds: for rehearsals on a simulator in scaled time.
        rules: Verdicts of your own, asked first: see ``stable_openai.verdict``.
        clock: Where time comes from; for tests.

    Raises:
        ConfigurationError: A key, a limit or an option is wrong; the message names it.
        StoreError: A shared store refuses; or it can't be reached, and ``on_store_error`` is ``"raise"``.
    """

    source: tuple[str, tuple[Any, ...], dict[str, Any]] | None = None  # by which another process makes the same pool

    def __init__(
        self,
        keys: str | Key | Iterable[str | Key | Mapping[str, Any]] = (),
        **options: Any,
    ) -> None:
        keys = hide(keys)
        checked = Options.of(options)
        super().__init__(checked, checked.clock or SYSTEM_CLOCK)
        for name, limits in checked.owners.items():
            self.store.set_owner(name, *limits)
        self._add(as_keys(keys))
        _pools.add(self)

    @classmethod
    def from_env(cls, *variables: str, **options: Any) -> KeyPool:
        """Make a pool of keys in the environment.

        ``from_env("MY_KEYS")`` reads ``MY_KEYS`` (one key, or a list with commas or white space) and ``MY_KEYS_1``,
        ``MY_KEYS_2``…; without a name, ``OPENAI_API_KEYS`` and ``OPENAI_API_KEY`` are read in the same way.

        Raises:
            ConfigurationError: There is no key, or one is bad; the message names the variable.
        """
        keys = keys_from_env(*variables)
        if not keys:
            names = variables or ("OPENAI_API_KEYS", "OPENAI_API_KEY_1", "OPENAI_API_KEY")
            raise ConfigurationError(" / ".join(names), "no key is set: put one or several there, separated by commas")
        made = cls(keys, **options)
        made.source = ("from_env", variables, options)
        return made

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **options: Any) -> KeyPool:
        """Make a pool of a TOML file (``[pool]``, ``[[keys]]``, ``[owners.NAME]``) that only its owner may read.

        Raises:
            ConfigurationError: Others can read the file, or a field in it is wrong.
            OSError: It can't be read.
        """
        keys, settings = settings_from_file(path)
        check_in_file(path, {name: value for name, value in settings.items() if name not in options})
        made = cls(keys, **{**settings, **options})
        made.source = ("from_file", (path,), options)
        return made

    # -- seeing

    def explain(self, model: str | None = None, *, tokens: int = 0) -> Explanation:
        """Why nothing is eligible for a model, and when it will be: ``str()`` of it is a paragraph.

        Args:
            model: The model; None: any.
            tokens: Tokens that the call would need, prompt and answer together.
        """
        at = self.store.earliest(model, tokens)
        retry_after = max(at - self.store.now(), 0.0) if at < _NEVER else None
        out = self.store.reasons(model, tokens)
        return explain(list(self._keys), out, model=model, retry_after=retry_after, waiting=len(self.line))

    def load_limits(
        self,
        admin_key: str,
        *,
        project: str | None = None,
        base_url: str = "https://api.openai.com/v1",
        timeout: float = 30.0,
    ) -> dict[str, dict[str, Limits]]:
        """Read the rate limits of projects from OpenAI's admin API, and keep to them.

        They hold for keys whose ``owner`` is the project's id or name. Where ``project`` is given, or there is but one,
        keys without an owner are taken to be its own.

        Args:
            admin_key: An admin key (it is sent there, and not kept).
            project: The id or name of one project; default: all.
            base_url: The API's base URL.
            timeout: Seconds that one request may take.

        Returns:
            The limits by project id and model.

        Raises:
            ConfigurationError: The admin key or the project is refused.
            OSError: The API can't be reached.
        """
        from .admin import read_projects  # with urllib and http, which nobody else here needs

        projects = read_projects(hide(admin_key), base_url, project, timeout)
        told = {key.owner for key in self._keys.values()}
        for found in projects:
            owner = found.name if found.name in told else found.id
            self.store.set_owner(owner, Limits(), found.limits)
            if len(projects) == 1:
                self.store.assign_owner([name for name, key in self._keys.items() if key.owner is None], owner)
        self.serve()
        return {found.id: found.limits for found in projects}

    def status(self) -> list[KeyStatus]:
        """The state of each key, as dataclasses. Never a secret.

        Raises:
            StoreError: The shared store is lost, and ``on_store_error`` is ``"raise"``.
        """
        return self.store.snapshot()

    def __str__(self) -> str:
        return table_of(self.status())

    def __repr__(self) -> str:
        if "_numbered" not in self.__dict__:
            return f"<{type(self).__name__}, not finished>"  # in the traceback of a refused option
        waiting = len(self.line)
        return f"<{type(self).__name__} of {len(self._keys)} keys, {self.options.strategy_name}, {waiting} waiting>"

    # -- ending

    def __enter__(self) -> KeyPool:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    async def __aenter__(self) -> KeyPool:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.aclose()

    def __reduce__(self) -> str:
        raise TypeError("a pool can't be pickled: it holds secrets and running counts; make one in each process")


_pools: Final[weakref.WeakSet[KeyPool]] = weakref.WeakSet()


def _after_fork() -> None:
    for pool in tuple(_pools):
        pool.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
