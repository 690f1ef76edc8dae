"""What the clients over a pool have in common: their parameters, their copies, and how a request begins."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from stable_openai.errors import PoolClosed
from stable_openai.exchange import Aim, Exchange
from stable_openai.pool.needs import tokens_needed

from . import forks
from .errors import as_client_error
from .sources import Source, source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from typing_extensions import Self

    from stable_openai.pool.pool import KeyPool

    from .sources import Keys

__all__ = ["DropIn", "signed_like"]

C = TypeVar("C")
# Parameters of openai's clients that are credentials of another kind: no pool is looked for then.
_OTHER_CREDENTIALS: Final = (
    "workload_identity", "provider", "azure_ad_token", "azure_ad_token_provider",
)  # fmt: skip
_OWN: Final = ("pool", "max_wait", "total_timeout", "affinity")


class DropIn:
    """Mixed into a subclass of one of openai's clients, in front of the seam; ``OpenAI`` tells of its parameters."""

    _aims: ClassVar[type[Aim]] = Aim
    _takes_environment: ClassVar[bool] = True
    _source: Source = Source()

    def __init__(
        self,
        *,
        api_key: Any = None,
        pool: KeyPool | Keys | None = None,
        max_wait: float | None = None,
        total_timeout: float | None = None,
        affinity: Hashable | None = None,
        **options: Any,
    ) -> None:
        source = source_of(
            api_key,
            pool,
            has_other_credentials=self._has_other_credentials(options),
            environment=self._takes_environment,
        )
        given = source.placeholder if source.placeholder is not None else api_key
        super().__init__(api_key=given, **options)  # type: ignore[call-arg]  # openai's own
        self._source = source.with_options(max_wait, total_timeout, affinity)
        self._forks = forks.seen()

    def _has_other_credentials(self, options: Mapping[str, Any]) -> bool:
        return any(options.get(name) is not None for name in _OTHER_CREDENTIALS)

    @property
    def pool(self) -> KeyPool | None:
        """The pool that requests made now draw on; None where the credential is the caller's own."""
        return self._source.current_pool() if self._is_pooled() else None

    def _is_pooled(self) -> bool:
        """Whether the client still has the key that stands for its pool: one set by hand wins, and is not rotated."""
        placeholder = self._source.placeholder
        return placeholder is not None and getattr(self, "api_key", None) == placeholder

    def copy(
        self,
        *,
        api_key: Any = None,
        pool: KeyPool | Keys | None = None,
        max_wait: float | None = None,
        total_timeout: float | None = None,
        affinity: Hashable | None = None,
        _extra_kwargs: Mapping[str, Any] = {},  # openai's own signature; never changed
        **options: Any,
    ) -> Self:
        """A client that shares this one's keys and connections, with some options changed.

        ``api_key`` or ``pool`` change the keys; ``max_wait``, ``total_timeout`` and ``affinity`` the bounds; everything
        else is as openai has it.
        """
        self._forks = forks.renew_connections(self, self._forks)  # the copy shares them
        own = self._source if self._is_pooled() else Source()
        source = own
        if api_key is not None or pool is not None:
            source = source_of(api_key, pool, has_other_credentials=False)
            source = source.with_options(own.patience.max_wait, own.patience.timeout, own.affinity)
            api_key = api_key if source.placeholder is None else source.placeholder
        elif any(options.get(name) is not None for name in _OTHER_CREDENTIALS):
            source = Source()
        made: Self = super().copy(api_key=api_key, _extra_kwargs=_extra_kwargs, **options)  # type: ignore[misc]
        made._source = source.with_options(max_wait, total_timeout, affinity)
        return made

    with_options = copy

    def _begin(self, options: Any) -> Exchange | None:
        pool = self._source.current_pool() if self._is_pooled() else None
        self._forks = forks.renew_connections(self, self._forks)
        if pool is None:
            if self._is_pooled() and not self._source.own:
                raise as_client_error(PoolClosed("the KeyManager of this client is no more: call KeyManager(keys)"))
            return None
        retries = options.get_max_retries(self.max_retries)  # type: ignore[attr-defined]  # openai's own
        body = options.json_data
        body = body if isinstance(body, Mapping) else {}
        named = body.get("model")
        model = named if isinstance(named, str) else None
        return Exchange(
            pool,
            self._aims(self._source.placeholder, str(self.base_url)),  # type: ignore[attr-defined]  # openai's own
            model=model,
            tokens=tokens_needed(body, model, str(options.url)) if pool.counts_tokens else 0,
            patience=self._source.patience,
            affinity=self._source.affinity,
            backs_off=False,
            retries=retries if isinstance(retries, int) else 0,  # openai itself refuses what is no number
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over {self.pool!r}>"


def signed_like(base: type) -> Callable[[type[C]], type[C]]:
    """Give a client's ``__init__`` and ``copy`` the parameters of openai's own class, and ours behind them.

    openai's versions differ in their parameters; code that looks at signatures finds those of the version at hand.
    """

    def sign(client: type[C]) -> type[C]:
        for name in ("__init__", "copy"):
            setattr(client, name, _signed(getattr(DropIn, name), getattr(base, name)))
        client.with_options = client.copy  # type: ignore[attr-defined]
        return client

    return sign


def _signed(ours: Callable[..., Any], theirs: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, **options: Any) -> Any:
        return ours(self, **options)

    own = [parameter.replace(annotation=Any) for parameter in inspect.signature(ours).parameters.values()]
    merged = [*inspect.signature(theirs).parameters.values(), *(found for found in own if found.name in _OWN)]
    method.__name__, method.__qualname__, method.__doc__ = ours.__name__, ours.__qualname__, ours.__doc__
    method.__signature__ = inspect.Signature(merged)  # type: ignore[attr-defined]
    # openai's annotations are texts, to be read where they were written.
    method.__annotations__ = {found.name: found.annotation for found in merged if found.annotation is not found.empty}
    method.__wrapped__ = theirs  # type: ignore[attr-defined]
    return method
