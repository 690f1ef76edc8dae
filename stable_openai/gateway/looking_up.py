"""Finding out whose a file is before a job is begun with it.

Providers take such a job from any account and look for the file later, when nothing can be mended. So where nobody
knows the file's home, each account is asked for the file first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from multidict import CIMultiDict

from stable_openai.errors import NoKeyAvailable, StableError
from stable_openai.failover.calls import Call
from stable_openai.verdict import Reason

from .errors import Refused
from .homes import Search, is_for_good, is_unknown, text_of
from .replies import Reply
from .upstream import Outgoing

if TYPE_CHECKING:
    from stable_openai.failover.attempts import Attempt

    from .gateway import Gateway
    from .seen import Seen

__all__ = ["look_up"]

_OF_BODY = ("Content-Type", "Content-Encoding", "Idempotency-Key")


class _Nowhere(Exception):
    """Never leaves this file."""


async def look_up(gateway: Gateway, outgoing: Outgoing, file: str, seen: Seen) -> None:
    """Learn the home of a file, where there is one.

    Args:
        gateway: The gateway.
        outgoing: The request that names it.
        file: Its id.
        seen: What is noted of the request.

    Raises:
        Refused: Somebody who may have it can't be asked now.
    """
    headers: CIMultiDict[str] = CIMultiDict(outgoing.headers)
    for name in _OF_BODY:
        headers.pop(name, None)
    asking = Outgoing("GET", f"/files/{file}", headers, outgoing.place)
    call = Call(gateway.pool, gateway.patience, None)
    search = Search(gateway.homes, (file,), call.ask)
    attempts = call.attempts()
    while True:
        try:
            attempt = await anext(attempts)
        except NoKeyAvailable as error:
            if is_for_good(error):
                return
            raise Refused.without_key(error) from None
        except (StableError, _Nowhere):
            return  # the request itself will say so
        seen.attempts += 1
        if not await _goes_on(gateway, asking, attempt, call, search):
            return


async def _goes_on(gateway: Gateway, asking: Outgoing, attempt: Attempt, call: Call, search: Search) -> bool:
    """Ask one account; whether another is to be asked."""
    name, reply = attempt.grant.name, None
    try:
        reply = Reply(await gateway.upstream.send(asking, attempt.key), asking.method)
        gateway.homes.accounts.see(name, reply.response.headers)
        refusal = await reply.examine(gateway.pool, attempt.key.secret, 0)
    except BaseException as error:
        goes_on = call.failed(error)
        if not isinstance(error, Exception):
            raise
        return goes_on
    finally:
        if reply is not None:
            reply.close()
    if refusal is None:
        call.succeeded(None)
        gateway.metrics.attempt(name, Reason.OK.value)
        gateway.homes.learn(search.ids, name)
        return False
    verdict = gateway.pool.judge(refusal, attempt.key)
    gateway.metrics.attempt(name, verdict.reason.value)
    if is_unknown(verdict, text_of(refusal), search.ids):
        call.succeeded(None)
        return search.goes_on(name)
    return call.rejected(refusal, error=_Nowhere())
