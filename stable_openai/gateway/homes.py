"""Whose account knows what: requests that name a thing of one account go there.

An id's home is the key under which it was made, or by which a request that names it was served. It is remembered in
this process, so another worker, or the same gateway once it was started again, has to find it: the request is tried
under a key, and where the provider says that it does not know the thing, under one of another account, until one does
or all have been asked. Nothing has happened at the provider by such a refusal, and it is not the key's fault: nothing
rests by it, nothing counts as failed.

Homes are about routing alone, not about rights: whoever may send requests here may name any id.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from stable_openai.verdict import Reason

from .accounts import Accounts
from .ids import ids_in_answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stable_openai.errors import NoKeyAvailable
    from stable_openai.pool.pool import KeyPool
    from stable_openai.stores.protocol import Ask
    from stable_openai.verdict import Answer, Verdict

    from .replies import Reply

__all__ = ["Homes", "Search", "is_for_good", "is_unknown", "text_of"]

_MOST: Final = 50_000  # ids that are remembered, some 200 bytes each; beyond, the one silent longest is forgotten
_MOST_ASKED: Final = 32  # accounts that are asked for what nobody is known to have
# What providers say of a thing that the account does not have, besides an answer with the status 404.
_UNKNOWN: Final = re.compile(
    r"not found|no such|not exist|n't exist|(?:can ?not|can't|could not|couldn't|unable to) (?:be )?f(?:i|ou)nd|"
    r"invalid \w*_?file\b|n[o']t have (?:permission|access)|no access|unknown",
    re.IGNORECASE,
)
_SAID: Final = 1 << 14  # bytes of a refusal
_FOR_GOOD: Final = ("retired", "is not for the model")  # how the reasons of keys begin that are out of use
_DOUBTED: Final = frozenset({Reason.BAD_REQUEST, Reason.PERMISSION_DENIED})


class Home(NamedTuple):
    """Where a thing is.

    Attributes:
        key: The name of a key.
        sure: Whether it was made or asked for under it, rather than mentioned.
    """

    key: str
    sure: bool


class Homes:
    """The homes of ids, in bounded memory. For one event loop.

    Args:
        pool: Whose keys are homes.
        most: How many are remembered.

    Attributes:
        accounts: Which keys are of one account.
    """

    def __init__(self, pool: KeyPool, most: int = _MOST) -> None:
        self.accounts = Accounts(pool)
        self._most = most
        self._replaced = 0
        self._homes: OrderedDict[str, Home] = OrderedDict()

    def __len__(self) -> int:
        return len(self._homes)

    def find(self, ids: Iterable[str]) -> Home | None:
        """The home of the first of these that is known, for sure if possible; one whose key has left is none."""
        found = None
        for each in ids if self._is_good() else ():
            home = self._homes.get(each)
            if home is not None and self.accounts.has(home.key):
                self._homes.move_to_end(each)
                if home.sure:
                    return home
                found = found or home
        return found

    def _is_good(self) -> bool:
        """Whether names of keys still mean what they did; else all is forgotten, as it can be found out again."""
        self.accounts.look()
        if self._replaced != self.accounts.replaced:
            self._replaced = self.accounts.replaced
            self._homes.clear()
        return bool(self._homes)

    def learn(self, ids: Iterable[str], key: str, *, sure: bool = True) -> None:
        """These are at home with a key. What was only mentioned does not stand against what is known."""
        self._is_good()
        home = Home(key, sure)
        for each in ids:
            if sure or each not in self._homes:
                self._homes[each] = home
            self._homes.move_to_end(each)
        while len(self._homes) > self._most:
            self._homes.popitem(last=False)

    def learn_of_answer(self, body: bytes, key: str) -> bool:
        """Learn what a good answer, or the beginning of one, names; returns whether it names anything."""
        own, others = ids_in_answer(body)
        self.learn(own, key)
        self.learn(others, key, sure=False)
        return bool(own)


class Search:
    """The way of one request that names ids: to their home, or from account to account until one knows them.

    Args:
        homes: What is known.
        ids: What it names.
        ask: What it asks the pool for: restricted here to the keys that may serve it.

    Attributes:
        home: Where it has to go; None where that is to be found out.
        first: The first answer of somebody who does not know it, with the secret under which it came.
    """

    def __init__(self, homes: Homes, ids: tuple[str, ...], ask: Ask) -> None:
        self.ids = ids
        self.home = homes.find(ids)
        self.first: tuple[Reply, str] | None = None
        self._accounts = homes.accounts
        self._ask = ask
        self._asked: list[str] = []
        if self.home is not None:
            ask.only = self._accounts.of(self.home.key)
            ask.prefer = None if ask.only is None else self.home.key

    def goes_on(self, key: str) -> bool:
        """This key does not know it: whether another is to be asked, to which the request is restricted then."""
        self._asked.append(key)
        ask, home = self._ask, self.home
        if home is not None:
            if ask.only is not None and home.key not in self._asked:  # they have an owner in common, and not this
                ask.only = frozenset([home.key])
                return True
            if home.sure:
                return False  # it is gone
            self.home = None
        others = self._accounts.others(self._asked, _MOST_ASKED - len(self._asked))
        ask.only, ask.prefer = others, None
        return bool(others)


def is_for_good(error: NoKeyAvailable) -> bool:
    """Whether none of the keys that are left will ever be had, so that those who were asked have the last word."""
    return error.retry_after is None and all(why.startswith(_FOR_GOOD) for why in error.reasons.values())


def text_of(refusal: Answer) -> str:
    """What a refusal says."""
    body = refusal.body
    if isinstance(body, (bytes, bytearray)):
        return bytes(body[:_SAID]).decode("utf-8", "replace")
    return json.dumps(body, ensure_ascii=False)


def is_unknown(verdict: Verdict, text: str, ids: Iterable[str]) -> bool:
    """Whether a refusal says that the account does not have what a request names.

    Args:
        verdict: What it means otherwise.
        text: What it says.
        ids: What the request names.
    """
    code = verdict.code or ""
    if verdict.reason is Reason.NOT_FOUND:
        return code != "unknown_url"
    if verdict.reason not in _DOUBTED:
        return False
    return code.endswith("not_found") or (_UNKNOWN.search(text) is not None and any(each in text for each in ids))
