"""The table: which codes, phrases and statuses mean what. The first row that fits decides.

A row fits when its status fits (rows without statuses fit all), one of its codes or its phrase is found (rows with
neither stand on the status alone), and its `unless` is not found. Codes are compared as lower-case letters and digits:
`RateLimitReached` is `rate_limit_reached`. The phrases stand in `phrases.py`, the codes in `codes.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stable_openai.verdict import codes as c
from stable_openai.verdict import phrases as p
from stable_openai.verdict.verdicts import Reason, Scope

if TYPE_CHECKING:
    from collections.abc import Collection

R = Reason  # the table's columns are narrow
NO_STATUS: Final = 0  # stands for None: an error event in a stream or in a 200 answer
_FAULT: Final = frozenset({NO_STATUS, 400, 401, 402, 403, 404, 405, 406, 409, 410, 412, 413, 418, 422, 423, 429, 451})
_REFUSED: Final = frozenset({NO_STATUS, 400, 401, 403, 404, 407, 412, 422})
_TROUBLE: Final = frozenset({NO_STATUS, 424, 429, 498, 500, 502, 503, 520, 529, 530})


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Attributes:
        reason: what it means. `RATE_LIMITED_UNSPECIFIED` is refined by what was counted, over which window.
        codes: codes and types, any of which fits.
        prefixes: beginnings of codes, any of which fits.
        says: a phrase that fits.
        statuses: the only statuses that it holds for; None for all.
        unless: a phrase that speaks against it.
        scope: the scope, where the words of the answer are not to decide it.
        plain: an unmistakable statement.
        windowed: holds only where the answer also says over which window it counts.
    """

    reason: Reason
    codes: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    says: re.Pattern[str] | None = None
    statuses: frozenset[int] | None = None
    unless: re.Pattern[str] | None = None
    scope: Scope | None = None
    plain: bool = False
    windowed: bool = False

    def fits(self, status: int, codes: Collection[str], words: str) -> bool:
        """Whether the row fits an answer's status (`NO_STATUS` for none), codes and normalised words."""
        if self.statuses is not None and status not in self.statuses:
            return False
        needs_evidence = bool(self.codes or self.prefixes or self.says)
        if needs_evidence and not self.has_code(codes) and not (self.says and self.says.search(words)):
            return False
        return self.unless is None or not self.unless.search(words)

    def has_code(self, codes: Collection[str]) -> bool:
        """Whether one of the codes is the row's."""
        return not self.codes.isdisjoint(codes) or (
            self.prefixes != () and any(code.startswith(self.prefixes) for code in codes)
        )


def _row(
    reason: Reason,
    says: str = "",
    *,
    codes: str = "",
    on: Collection[int] | None = None,
    unless: str = "",
    scope: Scope | None = None,
    plain: bool = False,
    windowed: bool = False,
) -> Row:
    names = codes.split()
    return Row(
        reason=reason,
        codes=frozenset(name for name in names if not name.endswith("*")),
        prefixes=tuple(name[:-1] for name in names if name.endswith("*")),
        says=re.compile(says) if says else None,
        statuses=frozenset(on) if on is not None else None,
        unless=re.compile(unless) if unless else None,
        scope=scope,
        plain=plain,
        windowed=windowed,
    )


_RATE: Final = R.RATE_LIMITED_UNSPECIFIED

TABLE: Final[tuple[Row, ...]] = (
    # The place that the call came from; what was written.
    _row(R.REGION_BLOCKED, p.REGION, codes=c.REGION, on=_FAULT - {429}, unless=p.NOT_REGION, plain=True),
    _row(
        R.CONTENT_FILTER,
        p.CONTENT_FILTER,
        codes=c.CONTENT_FILTER,
        on={NO_STATUS, 400, 403, 406, 421, 422, 451, 500},
        unless=p.ACCOUNT_OUT_OF_USE,
        plain=True,
    ),
    # A gateway whose own key for its upstream was refused: the caller's key is fine.
    _row(R.SERVER_ERROR, p.UPSTREAM_KEY, on={NO_STATUS, 400, 401, 403, 500}),
    _row(R.SERVER_ERROR, codes=c.UPSTREAM_ANSWER, on={401, 403}),
    # Codes that leave no doubt about the key.
    _row(R.KEY_DISABLED, codes=c.DISABLED, plain=True),
    _row(R.PERMISSION_DENIED, codes=c.PERMISSION_PLAIN, on=_REFUSED, plain=True),
    _row(R.INVALID_KEY, codes=c.INVALID_KEY_PLAIN, on=_REFUSED, unless=p.NOT_INVALID_KEY_PLAIN, plain=True),
    # Too many tokens: for a window, which another key may allow, or for the model.
    _row(_RATE, p.TOKENS_IN_WINDOW, on={NO_STATUS, 400, 413, 429}, windowed=True, plain=True),
    _row(
        R.CONTEXT_LENGTH,
        p.CONTEXT_LENGTH,
        codes=c.CONTEXT_LENGTH,
        on={NO_STATUS, 400, 403, 404, 413, 422, 500, 503},
        unless=p.NOT_CONTEXT_LENGTH,
    ),
    # Money.
    _row(R.QUOTA_EXHAUSTED, p.MONEY, codes=c.MONEY, on=_FAULT, unless=p.NOT_MONEY, plain=True),
    _row(R.QUOTA_EXHAUSTED, on={402}),
    # The key or its account is out of use.
    _row(R.KEY_DISABLED, p.OUT_OF_USE, on=_REFUSED | {429}, unless=p.NOT_OUT_OF_USE, plain=True),
    # A rate limit that says over which window it counts.
    _row(_RATE, on={429}, windowed=True, plain=True),
    _row(
        _RATE,
        p.LIMIT_WORDS,
        codes=c.LIMIT_WORDS,
        on={NO_STATUS, 400, 401, 403, 420, 503},
        windowed=True,
        plain=True,
    ),
    # Allowances, in words that some providers also use for their rate limits.
    _row(
        _RATE,
        p.SHORT_ALLOWANCE,
        codes=c.SHORT_ALLOWANCE,
        on={NO_STATUS, 400, 403, 429},
        unless=p.NOT_SHORT_ALLOWANCE,
    ),
    _row(_RATE, p.USAGE_WINDOW, on={NO_STATUS, 429}, unless=p.NOT_USAGE_WINDOW),
    _row(
        R.QUOTA_EXHAUSTED,
        p.ALLOWANCE,
        codes=c.ALLOWANCE,
        on={NO_STATUS, 400, 401, 403, 412, 429},
        unless=p.NOT_ALLOWANCE,
    ),
    # Models.
    _row(R.PERMISSION_DENIED, p.UNVERIFIED, on=_REFUSED, plain=True),
    _row(R.BAD_REQUEST, p.WRONG_INTERFACE, codes=c.WRONG_INTERFACE, on={NO_STATUS, 400, 404, 405, 422}),
    _row(R.NOT_FOUND, p.MODEL_GONE, codes=c.MODEL_GONE, on={NO_STATUS, 400, 404, 410, 422}, unless=p.NOT_MODEL_GONE),
    _row(
        R.MODEL_UNAVAILABLE_FOR_KEY,
        p.MODEL,
        codes=c.MODEL,
        on=_REFUSED | {405, 410, 503},
        unless=p.NOT_MODEL,
        plain=True,
    ),
    _row(R.MODEL_UNAVAILABLE_FOR_KEY, codes=c.MODEL, on={429}, plain=True),
    # The key, in words.
    _row(
        R.INVALID_KEY,
        p.INVALID_KEY,
        codes=c.INVALID_KEY,
        on={NO_STATUS, 400, 401, 403, 404, 422},
        unless=p.NOT_INVALID_KEY,
    ),
    _row(R.INVALID_KEY, p.BAD_CREDENTIAL, on={403}),
    _row(R.PERMISSION_DENIED, p.SCOPES, on=_REFUSED, scope=Scope.KEY, plain=True),
    _row(R.PERMISSION_DENIED, p.PERMISSION, codes=c.PERMISSION, on={NO_STATUS, 400, 401, 403}),
    # The provider has too much to do, or its upstream has.
    _row(R.OVERLOADED, p.OVERLOADED, codes=c.OVERLOADED, on=_TROUBLE),
    _row(R.OVERLOADED, p.OVERLOADED_PLAIN, on={400, 403}),
    _row(R.OVERLOADED, p.SLOW_DOWN, on={500, 503}),
    # A rate limit that does not say what it counts.
    _row(_RATE, on={420, 429}),
    _row(_RATE, p.RATE_LIMIT, codes=c.RATE_LIMIT, on={NO_STATUS, 400, 403, 503}, unless=p.NOT_RATE_LIMIT),
    # Trouble of the provider.
    _row(
        R.TIMEOUT,
        p.TIMEOUT,
        codes=c.TIMEOUT,
        on={NO_STATUS, 408, 424, 499, 500, 502, 503, 504, 520, 521, 522, 523, 524},
    ),
    _row(R.SERVER_ERROR, p.SERVER_ERROR, codes=c.SERVER_ERROR, on={NO_STATUS, *range(500, 600)} - {504, 522, 524}),
    _row(R.BAD_REQUEST, codes=c.BAD_REQUEST, on={NO_STATUS}),
    _row(R.NOT_FOUND, codes=c.NOT_FOUND, on={NO_STATUS}),
    # What the status alone says (RFC 9110 §15; Cloudflare's 52x, nginx's 499, AWS's 460, Anthropic's 529).
    _row(R.INVALID_KEY, on={401}),
    _row(R.PERMISSION_DENIED, on={403}),
    _row(R.NOT_FOUND, on={404, 410, *range(300, 400)}),
    _row(R.TIMEOUT, on={408, 460, 499, 504, 522, 524, 598, 599}),
    _row(R.REGION_BLOCKED, on={451}),
    _row(R.OVERLOADED, on={498, 503, 529}),
    _row(R.SERVER_ERROR, on={407, 424, 425, 440, 444}),
    _row(R.BAD_REQUEST, on=range(400, 500)),
    _row(R.SERVER_ERROR),
)
