"""One request's way through the gateway: under one key after the other, until there is an answer for the client."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any, Final

from stable_openai.errors import NoKeyAvailable, RequestTooLarge, StableError
from stable_openai.failover.calls import Call
from stable_openai.verdict import Answer, Reason

from .errors import Refused
from .headers import for_client
from .homes import Search, is_for_good, is_unknown, text_of
from .ids import is_taken_unseen, read_target
from .looking_up import look_up
from .relaying import relay
from .replies import Reply, without

if TYPE_CHECKING:
    from aiohttp import web

    from stable_openai.failover.attempts import Attempt
    from stable_openai.serving import Admission

    from .asking import Asked
    from .gateway import Gateway
    from .seen import Seen
    from .upstream import Outgoing

__all__ = ["Passage"]

_logger = logging.getLogger("stable_openai.gateway")
# The provider's words on these are about the key, and none of the client's business.
_HIDDEN: Final = frozenset({Reason.INVALID_KEY, Reason.KEY_DISABLED, Reason.QUOTA_EXHAUSTED})
_REDIRECTS_FROM: Final = 300  # statuses of answers that are neither errors nor what was asked for
_TOLD: Final = ("ratelimit", "organization", "openai-project")  # parts of headers that a success is settled by


class _RefusedEverywhere(Exception):
    """Stands for the provider's last answer."""


class Passage:
    """One request.

    Args:
        gateway: The gateway.
        http: The request, as it came.
        outgoing: The request, as it goes out.
        asked: What it asks for.
        seen: What is noted of it.
        admission: What the limits of the client's token have granted, where it has any.
    """

    def __init__(
        self,
        gateway: Gateway,
        http: web.Request,
        outgoing: Outgoing,
        asked: Asked,
        *,
        seen: Seen,
        admission: Admission | None,
    ) -> None:
        self._gateway = gateway
        self._http = http
        self._outgoing = outgoing
        self._seen = seen
        self._admission = admission
        self._call = Call(gateway.pool, gateway.patience, asked.model, asked.tokens)
        self._learns = (asked.kept or bool(asked.ids)) and len(gateway.pool) > 1
        self._search = Search(gateway.homes, asked.ids, self._call.ask) if asked.ids and self._learns else None
        if asked.affinity is not None and (self._search is None or self._search.home is None):
            self._call.ask.affinity = (seen.token, asked.affinity)
        self._last: tuple[Reply, str] | None = None  # with the secret under which it came

    async def answer(self) -> web.StreamResponse:
        """Send the request, and give the client its answer.

        Raises:
            Refused: There is none.
        """
        if self._search is not None:
            await self._look_up(self._search)
        attempts = self._call.attempts()
        while True:
            self._gateway.metrics.waits(1)
            try:
                attempt = await anext(attempts)
            except (StableError, _RefusedEverywhere) as error:
                ended: Exception = error
                break
            finally:
                self._gateway.metrics.waits(-1)
            self._seen.attempts += 1
            self._seen.key = attempt.grant.name
            answer = await self._try(attempt)
            if answer is not None:
                return answer
        return await self._without_key(ended)

    async def _look_up(self, search: Search) -> None:
        """Find out where the request has to go, where its answer would not tell."""
        outgoing = self._outgoing
        if search.home is None and is_taken_unseen(outgoing.method, outgoing.target, search.ids):
            await look_up(self._gateway, outgoing, search.ids[0], self._seen)
            self._search = Search(self._gateway.homes, search.ids, self._call.ask)

    async def _try(self, attempt: Attempt) -> web.StreamResponse | None:
        """Make one attempt; None: another one is to be made."""
        call, gateway = self._call, self._gateway
        secret, reply = attempt.key.secret, None
        try:
            reply = Reply(await gateway.upstream.send(self._outgoing, attempt.key), self._outgoing.method)
            gateway.homes.accounts.see(attempt.grant.name, reply.response.headers)
            refusal = await reply.examine(gateway.pool, secret, gateway.options.look_ahead)
        except BaseException as error:
            if reply is not None:
                reply.close()
            goes_on = call.failed(error)
            self._note(attempt, error)
            if goes_on:
                return None
            if not isinstance(error, Exception):
                raise
            raise _unreachable(error) from None
        if refusal is None:
            return await self._give(reply, attempt)
        if self._search is not None and self._knows_not(refusal, attempt):
            return await self._ask_elsewhere(self._search, reply, attempt)
        goes_on = call.rejected(refusal, error=_RefusedEverywhere())
        self._note(attempt)
        if goes_on:
            reply.close()
            self._last = reply, secret
            return None
        return await self._give_refusal(reply, secret)

    def _knows_not(self, refusal: Answer, attempt: Attempt) -> bool:
        """Whether the account does not have what the request names."""
        assert self._search is not None  # noqa: S101  # it names something
        verdict = self._gateway.pool.judge(refusal, attempt.key)
        return is_unknown(verdict, text_of(refusal), self._search.ids)

    async def _ask_elsewhere(self, search: Search, reply: Reply, attempt: Attempt) -> web.StreamResponse | None:
        """Have another account asked; where there is none left, the first one's refusal is the client's answer."""
        name, secret = attempt.grant.name, attempt.key.secret
        self._settle(reply, None)  # nothing is wrong with the key
        self._gateway.metrics.attempt(name, Reason.NOT_FOUND.value)
        goes_on = search.goes_on(name)
        if search.first is None and reply.whole:
            search.first = reply, secret
        elif goes_on or search.first is not None:
            reply.close()
        return None if goes_on else await self._pass_on(*(search.first or (reply, secret)))

    def _note(self, attempt: Attempt, error: BaseException | None = None) -> None:
        verdict = self._call.verdict
        if error is not None and not isinstance(error, Exception):
            told = "cancelled"
        else:
            told = Reason.NOT_PROVIDER.value if verdict is None else verdict.reason.value
        self._gateway.metrics.attempt(attempt.grant.name, told)

    # -- answers

    async def _give(self, reply: Reply, attempt: Attempt) -> web.StreamResponse:
        """Give the client a good answer; settle as soon as it is over."""
        call, told = self._call, Reason.OK.value
        secret = attempt.key.secret
        headers = for_client(reply.response.headers, secret, self._added())
        self._turn_home(headers, attempt)
        if self._learns and reply.status < _REDIRECTS_FROM:
            self._learn(reply, attempt.grant.name)
        self._outgoing.drop_body()
        counts = bool(attempt.grant.tokens) or self._admission is not None
        try:
            if reply.whole:  # nothing is outstanding: the key is free before the client has it all
                self._succeeded(reply, counts=counts)
            response, size, broken = await relay(self._http, reply, headers, secret)
            told = self._over(reply, broken, secret, counts=counts)
        except BaseException as error:
            told = "cancelled"
            reply.close()
            if call.grant is not None:
                call.failed(error if not isinstance(error, Exception) else asyncio.CancelledError())
            raise
        finally:
            self._gateway.metrics.attempt(attempt.grant.name, told)
        self._seen.sent += size
        return response

    def _over(self, reply: Reply, broken: Exception | None, secret: str, *, counts: bool) -> str:
        """The answer is over: settle, where that was not done; returns what there is to say of it."""
        call, watch = self._call, reply.watch
        if watch is not None and broken is None:
            watch.finish()
        if broken is not None:
            reply.close()
        if call.grant is None:
            return Reason.OK.value
        if broken is not None:
            call.failed(broken, begun=True)
        elif watch is not None and watch.error is not None:
            call.rejected(without(watch.error, secret), begun=True)
        else:
            self._succeeded(reply, counts=counts)
            return Reason.OK.value
        return Reason.NOT_PROVIDER.value if call.verdict is None else call.verdict.reason.value

    def _succeeded(self, reply: Reply, *, counts: bool) -> None:
        tokens = reply.tokens() if counts else None
        self._settle(reply, tokens)
        if self._admission is not None:
            self._admission.settle(tokens)

    def _settle(self, reply: Reply, tokens: int | None) -> None:
        headers = {name: value for name, value in reply.response.headers.items() if _tells(name)}
        self._call.succeeded(tokens, Answer(reply.status, headers) if headers else None)

    def _learn(self, reply: Reply, key: str) -> None:
        """Remember whose account knows what the request names, and what its answer does."""
        homes, named = self._gateway.homes, read_target(self._outgoing.target)
        if self._search is not None:
            homes.learn(named.ids, key)
            homes.learn(self._search.ids, key, sure=False)
        if named.kept:
            reply.teach(functools.partial(homes.learn_of_answer, key=key))

    def _turn_home(self, headers: Any, attempt: Attempt) -> None:
        """Have a redirect within the provider's address lead to ours, as the client does not know the other."""
        location = headers.get("Location")
        if location is None:
            return
        base = self._gateway.upstream.base_of(attempt.key)
        if location.startswith(base + "/"):
            headers["Location"] = "/v1" + location[len(base) :]

    async def _give_refusal(self, reply: Reply, secret: str) -> web.StreamResponse:
        """Give the client the provider's error, unless it is about the key."""
        verdict = self._call.verdict
        if verdict is not None and (verdict.reason in _HIDDEN or (verdict.is_rate_limit and not verdict.oversized)):
            reply.close()
            raise Refused.without_key(self._gateway.pool.no_key(self._call.ask, None))
        return await self._pass_on(reply, secret)

    async def _pass_on(self, reply: Reply, secret: str) -> web.StreamResponse:
        """Give the client the provider's error as it is."""
        headers = for_client(reply.response.headers, secret, self._added())
        try:
            response, size, _ = await relay(self._http, reply, headers, secret)
        finally:
            reply.close()
        self._seen.sent += size
        return response

    async def _without_key(self, error: Exception) -> web.StreamResponse:
        """No key could be had: the provider's last answer where each has refused, else an error that says when."""
        first = None if self._search is None else self._search.first
        refused = isinstance(error, _RefusedEverywhere)
        if first is not None and (refused or (isinstance(error, NoKeyAvailable) and is_for_good(error))):
            return await self._pass_on(*first)
        if refused:
            if self._last is not None and self._last[0].whole:
                return await self._give_refusal(*self._last)
            raise Refused(502, "refused", "Every key was refused, in more words than the gateway keeps.")
        if isinstance(error, NoKeyAvailable):
            raise Refused.without_key(error)
        if isinstance(error, RequestTooLarge):
            raise Refused.too_large(error)
        _logger.warning("no key could be asked for: %s", type(error).__name__)
        raise Refused(503, "unavailable", "The gateway can't reach what it keeps its keys in.")

    def _added(self) -> dict[str, str]:
        added = {"x-request-id": self._seen.id}
        return added if self._admission is None else {**added, **self._admission.headers()}


def _tells(name: str) -> bool:
    lower = name.lower()
    return any(part in lower for part in _TOLD)


def _unreachable(error: Exception) -> Refused:
    if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
        return Refused(504, "provider_timeout", "The provider did not answer in time.")
    _logger.warning("the provider could not be reached: %s", type(error).__name__)
    return Refused(502, "provider_unreachable", "The connection to the provider broke, or could not be made.")
