"""Whom an answer names: the model, the owner, the key; and the scope that follows from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from stable_openai.verdict.verdicts import KEY_TROUBLE, OwnerKind, Reason, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = r"([A-Za-z][\w./:@+-]{1,100})"
_QUOTED: Final = rf"[`'\"\[\N{{LEFT DOUBLE QUOTATION MARK}}「]{_NAME}"
_MODEL_NAMED: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"limit_[rt]p[mdhs]/{_NAME}/[0-9a-f-]{{16,}}",
        rf"(?:[Mm]odels?|[Dd]eployment)(?: ID| id| name)?\s{{0,2}}[:=]?\s{{0,2}}{_QUOTED}",
        rf"\b[Mm]odel(?: ID| id| name)?\s{{0,2}}[:=]\s{{0,2}}{_NAME}",
        rf"\bfor (?:model )?[`'\"]?{_NAME}[`'\"]? (?:in org|on (?:tokens|requests|input|output))",
        rf"\bmodels/{_NAME}",
        rf"foundation-model/{_NAME}",
        rf"[\[`'\"]{_NAME}[\]`'\"] model\b",
        rf"(?:reached|exceeded|large|limit|limited|requests|quota|demand) (?:for|to) (?:model )?[`'\"]?{_NAME}",
        rf"\b[Mm]odels? (?:is |are )?{_NAME}",
        rf"模型\s?[:\uff1a`'\"「\[【]?\s?{_NAME}",
        rf"{_NAME} is (?:temporarily|currently) rate",
    )
)
_SURE_PATTERNS: Final = 7  # the first so many name a model by their very form; the rest need a name that looks like one
_MODEL_SHAPE: Final = re.compile(r"(?=[^0-9/:-]{0,100}[0-9/:-])[A-Za-z][\w./:@+-]+")
_NO_MODEL: Final = re.compile(
    r"(?:org|proj|user|acct|key|req|sk|ak|api)[-_]|[0-9a-f]{8}-[0-9a-f]{4}-|(?:none|null|unknown|requests?|tokens?|"
    r"images?|organi[sz]ation|"
    r"project|account|user|key|model|models|the|this|your|api|api_key|metric|free|paid|that|which|is|in|on|type|of|"
    r"and|service|"
    r"aiplatform.*|generativelanguage.*)$",
    re.IGNORECASE,
)
_THE_MODEL: Final = re.compile(
    r"\b(?:this|the|that|selected|requested|specified|your|chosen|current|each|one|for|per|by)"
    r"(?: \w+)? models?\b(?! (?:provider|requests|usage|list))"
    r"|(?:per|by)model|\bmodel[- _](?:specific|rate|level)|(?:该|此|当前|本|所选)模型|"
    r"(?:operation|api) under azure openai|"
    r"current openai s0 pricing tier"
)

_OWNER_WORDS: Final = re.compile(
    r"(?<![/.])\b(?:account|organi[sz]ation|org|team|project|workspace|tenant|user)s?\b"
    r"(?!/| (?:input|message|location|prompt|quer|agent))"
    r"|账户|账号|帐户|组织|团队|项目|租户|用户|主账号"
)
_OWNER_NAMED: Final[tuple[tuple[re.Pattern[str], OwnerKind], ...]] = (
    (re.compile(r"\b(org[-_][A-Za-z0-9](?:[\w-]{1,80}\w))"), "organization"),
    (re.compile(r"\b(proj_[A-Za-z0-9](?:[\w-]{1,80}\w))"), "project"),
    (re.compile(r"\borgani[sz]ation(?:'s)?(?: id)?\s?[\[(:='\"`]{1,2}\s?([\w-]{3,80})", re.IGNORECASE), "organization"),
    (re.compile(r"\bproject(?:_number| number| id)?\s?[/:='\"`\[(]{1,2}\s?([\w-]{3,80})", re.IGNORECASE), "project"),
    (re.compile(r"\bprojects/([\w-]{3,80})"), "project"),
    (re.compile(r"\bproject ([a-z0-9-]{0,60}\d[a-z0-9-]{0,60})\b"), "project"),
    (
        re.compile(
            r"\b(?:account|team)(?: id)?\s?[\[(:='\"`]{0,2}\s?"
            r"([0-9a-f]{8}-[0-9a-f-]{27}|[A-Za-z]{2,8}[-_][\w-]{1,60}|\d{6,20})",
            re.IGNORECASE,
        ),
        "account",
    ),
    (re.compile(r"\b[Aa]ccount \[([\w-]{3,80})\]"), "account"),
)
_OWNER_HEADERS: Final[tuple[tuple[str, OwnerKind], ...]] = (
    ("openai-organization", "organization"),
    ("anthropic-organization-id", "organization"),
    ("openai-project", "project"),
)
_KEY_ALLOWANCE: Final = re.compile(
    r"key(?:'s)? (?:total |spending |usage |credit |daily |weekly |monthly )?(?:limit|quota|budget|credits?)|"
    r"\bkey (?:has|had) (?:reached|exceeded|run)|"
    r"(?<!a )token(?:'s)? (?:remain )?(?:quota|budget)|(?:budget|spend) for (?:token|key)|(?:key|token) over budget|"
    r"over budget.{0,20}key|"
    r"令牌|(?:api )?key ?= ?\S|密钥.{0,6}(?:额度|配额)"
)
_MONEY: Final = re.compile(
    r"balance|credit|billing|payment|\bpaid\b|spend|fund|invoice|\bplan\b|recharge|top[- ]?up|subscri|"
    r"free[- ]?(?:tier|quota|trial|allocation)|"
    r"insufficient ?quota|purchase|overdue|arrear|specified api usage|freetier|余额|欠费|充值|资源包|套餐|账单|"
    r"免费额度|allocation ?quota"
)
_ADDRESS: Final = re.compile(
    r"\b(?:this|your|per|from|by|client|source|same|for|the) ip\b(?: address| addr)?|"
    r"\bip[- ]?address(?:es)? .{0,40}(?:limit|many|exceed)|"
    r"(?:当前|您的|同一|该|此|单) ?ip(?![a-z])"
)


def find_model(text: str, declared: list[str]) -> str | None:
    """The model that an answer names: in a field of its own, else in its text (in the letters it is written in)."""
    for name in declared:
        cleaned = name.strip().removeprefix("models/")
        if cleaned and not _NO_MODEL.match(cleaned):
            return cleaned
    for rank, pattern in enumerate(_MODEL_NAMED):
        for match in pattern.finditer(text):
            name = match[1].rstrip(".,:;-/")
            if len(name) > 1 and not _NO_MODEL.match(name) and (rank < _SURE_PATTERNS or _MODEL_SHAPE.fullmatch(name)):
                return name
    return None


def speaks_of_model(plain: str) -> bool:
    """Whether a text without advice limits its statement to a model, named or not."""
    return _THE_MODEL.search(plain) is not None


def find_owner(text: str, headers: Mapping[str, str]) -> tuple[str | None, OwnerKind | None]:
    """The owner that an answer names, in its text or else in a header."""
    for pattern, kind in _OWNER_NAMED:
        if match := pattern.search(text):
            return match[1], kind
    for name, kind in _OWNER_HEADERS:
        if value := headers.get(name):
            return value[:100], kind
    return None, None


def scope_for(  # noqa: PLR0911  # one return for each reason that differs
    reason: Reason, *, words: str, plain: str, model: str | None
) -> Scope:
    """The narrowest unit that the answer names as affected.

    Args:
        reason: what went wrong.
        words: all of the text and codes, normalised.
        plain: the same without the sentences that advise.
        model: the model that is named, if any.
    """
    if reason not in KEY_TROUBLE:
        return Scope.NONE
    of_model = model is not None or speaks_of_model(plain)
    of_owner = _OWNER_WORDS.search(plain) is not None
    if reason is Reason.MODEL_UNAVAILABLE_FOR_KEY:
        return Scope.KEY_AND_MODEL
    if reason is Reason.INVALID_KEY:
        return Scope.KEY
    if reason is Reason.KEY_DISABLED:
        return Scope.ORGANIZATION if of_owner else Scope.KEY
    if reason is Reason.QUOTA_EXHAUSTED:
        if _KEY_ALLOWANCE.search(words):
            return Scope.KEY
        of_owner = of_owner or _MONEY.search(words) is not None
        of_model = model is not None  # "to run this model" is why money was asked for, not whose it is
    elif reason is not Reason.PERMISSION_DENIED and _ADDRESS.search(plain):
        return Scope.ENDPOINT
    if of_model:
        return Scope.KEY_AND_MODEL
    return Scope.ORGANIZATION if of_owner else Scope.KEY
