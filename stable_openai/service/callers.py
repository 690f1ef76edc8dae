"""Who asks: the name of the token that was shown, and what its limits allow."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from stable_openai.serving import Admissions, TokenLimited, Tokens

from .errors import TooManyRequests, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from stable_openai.clock import Clock
    from stable_openai.serving import Token

__all__ = ["Callers", "Use"]

_CHARACTERS: Final = 4  # of a token, roughly


class Use:
    """What a request has used, for the limits of its token."""

    tokens: int | None = None

    def note(self, answer: str, prompt: str = "") -> None:
        """Note an answer: the tokens that the provider counted, or else an estimate."""
        usage = getattr(getattr(answer, "response", None), "usage", None)
        counted = getattr(usage, "total_tokens", None)
        self.tokens = counted if isinstance(counted, int) else (len(prompt) + len(answer)) // _CHARACTERS


class Callers:
    """The tokens of a server, shared by all that it listens with.

    Args:
        tokens: The tokens; none: nobody is asked for one, and all callers are the same.
        store: Where their limits are counted, as ``KeyPool`` takes it.
        clock: Where time comes from; for tests.

    Raises:
        ConfigurationError: A token is wrong.
    """

    def __init__(
        self, tokens: Tokens | Iterable[Token | str] = (), *, store: str = "memory://", clock: Clock | None = None
    ) -> None:
        self.tokens = tokens if isinstance(tokens, Tokens) else Tokens(tokens)
        self._admissions = Admissions(self.tokens, store=store, clock=clock)

    def name_of(self, authorization: bytes) -> str:
        """The name of the token in an ``Authorization`` header; empty where none is asked for.

        Raises:
            Unauthenticated: It shows none that is known.
        """
        if not self.tokens:
            return ""
        token = self.tokens.bearer_of(authorization)
        if token is None:
            raise Unauthenticated
        return token.name

    @contextlib.asynccontextmanager
    async def request(self, name: str) -> AsyncIterator[Use]:
        """One request of a caller, counted against the limits of its token.

        Raises:
            TooManyRequests: They do not allow it now.
        """
        try:
            admission = await self._admissions.enter(name)
        except TokenLimited as error:
            raise TooManyRequests(str(error), retry_after=error.retry_after) from None
        use = Use()
        try:
            yield use
        finally:
            if admission is not None:
                admission.settle(use.tokens)

    async def aclose(self) -> None:
        """Close what counts."""
        await self._admissions.aclose()
