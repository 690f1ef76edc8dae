"""The one pure function that reads an answer or an exception and gives the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http.client import responses as _STATUS_PHRASES  # noqa: N812  # a table of constants
from typing import Any, Final

from stable_openai.verdict._masking import mask_secrets
from stable_openai.verdict._text import normalise, without_advice
from stable_openai.verdict.answer import Answer, Headers
from stable_openai.verdict.bodies import Body, parse_body, read_body
from stable_openai.verdict.counted import Count, code_words, find_counts, reason_for, window_of
from stable_openai.verdict.limit_texts import is_oversized, limits_in_text
from stable_openai.verdict.naming import find_model, find_owner, scope_for
from stable_openai.verdict.rules import NO_STATUS, TABLE, Row
from stable_openai.verdict.shapes import Shape, shape_of
from stable_openai.verdict.verdicts import KEY_TROUBLE, OK, Dimension, ObservedLimit, Reason, Scope, Verdict
from stable_openai.verdict.waits import find_waiting, limits_of

Rule = Callable[[Answer], "Verdict | None"]
"""A user's rule: takes an `Answer` and gives its verdict, or None to leave it to the next.

`answer.source` is what was judged: the response or the exception itself. For an exception without an answer (a lost
connection, a user's own error) `answer.status` and `answer.body` are None.
"""

_MESSAGE_CHARS: Final = 200
_ERROR_MARKS: Final = ('"error', '"base_resp"', '"success"', '"object":"error"', '"Error"', '"code"')
_MARK_CHARS: Final = 65_536


def judge(obj: object, *, rules: Iterable[Rule] = (), now: float | None = None) -> Verdict:
    """Says what an answer or an exception means: reason, scope, how long to wait, whether another key may succeed.

    Args:
        obj: an `Answer`; any exception; a response of requests, httpx, httpx2, aiohttp, urllib or openai (raw, legacy
            or parsed); a mapping as a parsed body. Of a response only what has already been read is looked at:
            nothing is consumed. Any other value is a result, so it is `Reason.OK`.
        rules: rules of the user, asked first, in order; what they raise is raised.
        now: epoch seconds, to turn absolute instants into waits where the answer has no `date` header. Without it
            such an instant is only given as `Verdict.retry_at_epoch`, and the function is pure.

    Returns:
        The verdict; an exception that is not the provider's is `Reason.NOT_PROVIDER`.

    Raises:
        TypeError: a rule gave something other than a Verdict or None.
    """
    shape = shape_of(obj)
    for rule in rules:
        answer = shape.answer or Answer(None, Headers(), None)
        verdict = rule(
            answer if answer.source is obj else Answer(answer.status, answer.headers, answer.body, source=obj)
        )
        if verdict is not None:
            if not isinstance(verdict, Verdict):
                raise TypeError(f"a rule returns a Verdict or None, not {type(verdict).__name__}")
            return verdict
    if shape.answer is None:
        return _without_answer(shape)
    if not shape.is_error and _is_fine(shape.answer):
        return OK
    return _judge_answer(shape.answer, now, hint=shape)


def _without_answer(shape: Shape) -> Verdict:
    reason = shape.reason or Reason.OK
    if reason is Reason.OK:
        return OK
    scope = Scope.KEY if reason in KEY_TROUBLE else Scope.NONE
    message = _summary(shape.message) or reason.value
    return Verdict(reason, scope, retry_elsewhere=reason in KEY_TROUBLE, message=message, plain=reason in KEY_TROUBLE)


def _is_fine(answer: Answer) -> bool:
    """Whether an answer is a success; a 200 may hold an error, and a page is no answer of an API."""
    status, body = answer.status, answer.body
    if status is not None and not 100 <= status < 300:  # noqa: PLR2004
        return False
    if body is None:
        return status is not None
    if isinstance(body, (bytes, bytearray)):
        body = bytes(body[:_MARK_CHARS]).decode("utf-8", "replace")
    if isinstance(body, str):
        start = body[:_MARK_CHARS].lstrip("\ufeff \r\n\t")
        if start[:15].lower().startswith(("<!doctype html", "<html")):
            return False
        if not any(mark in start for mark in _ERROR_MARKS) and status is not None:
            return True
        body = parse_body(body)
        if isinstance(body, str):  # not JSON, or longer than what is read
            return status is not None and not start.startswith(('{"error":{', '{"error": {'))
    return status is not None and not _holds_error(body)


def _holds_error(body: object) -> bool:
    if isinstance(body, list):
        return bool(body) and isinstance(body[0], Mapping) and bool(body[0].get("error"))
    if not isinstance(body, Mapping):
        return False
    nested: Any = body.get("base_resp") or body.get("Response")
    if isinstance(nested, Mapping) and (nested.get("status_code") or nested.get("Error")):
        return True
    if any(body.get(key) for key in ("error", "error_code", "error_msg", "html-message")):
        return True
    if body.get("object") == "error" or body.get("type") == "error":
        return True
    return body.get("success") is False and ("msg" in body or "message" in body or "code" in body)


def _judge_answer(answer: Answer, now: float | None, *, hint: Shape) -> Verdict:
    headers = Headers(answer.headers)
    body = read_body(answer.body)
    _add_header_codes(headers, body)
    status = _status(answer.status, body)
    text = body.text
    normal = normalise(text)
    plain = without_advice(normal) or normal
    identifiers = [code_words(code) for code in body.codes if len(code_words(code)) > 1]
    words = "\n".join([normal, *identifiers])
    counts = _counts(plain, identifiers)
    codes = {_bare(code) for code in body.codes} | set(body.numbers)
    row = _find_row(status, codes, words, counts)
    if hint.reason is not None and row is TABLE[-1]:
        row = Row(hint.reason)
    limits = limits_of(headers, body, now=now)
    count = _settle_count(counts, limits)
    reason = row.reason
    if reason is Reason.RATE_LIMITED_UNSPECIFIED:
        reason = reason_for(count.dimension, count.window)
        limits += limits_in_text(text, body.codes)
    model = find_model(text, _declared_models(headers, body)) if reason in KEY_TROUBLE else None
    owner, owner_kind = find_owner(text, headers)
    scope = row.scope or scope_for(reason, words=words, plain="\n".join([plain, *identifiers]), model=model)
    dimension: Dimension | None = count.dimension
    wait = find_waiting(reason, headers, body, limits=limits, dimension=dimension, now=now)
    return Verdict(
        reason=reason,
        scope=scope,
        wait_s=wait.seconds,
        retry_elsewhere=scope not in {Scope.NONE, Scope.ENDPOINT},
        owner=mask_secrets(owner) if owner else None,
        owner_kind=owner_kind,
        model=mask_secrets(model) if model else None,
        limits=limits,
        plain=_is_plain(row, codes),
        code=_telling_code(body, row),
        message=_summary(text) or _status_words(status) or hint.message,
        oversized=reason is not Reason.RATE_LIMITED_UNSPECIFIED
        and reason.value.startswith("rate_limited_tokens")
        and is_oversized(limits, text),
        retry_at_epoch=wait.until,
    )


def _add_header_codes(headers: Headers, body: Body) -> None:
    """Takes the codes that travel in headers: AWS, Azure, gateways."""
    for name in ("x-amzn-errortype", "x-ms-error-code", "x-openai-ide-error-code", "x-error-code", "x-ratelimit-type"):
        if value := headers.get(name):
            body.codes.append(value.split(":")[0].strip()[:120])
    if policy := headers.get("policy-id"):
        body.codes.append(policy[:120])
    if not body.texts and (value := headers.get("x-error-message")):
        body.texts.append(value)


def _status(status: int | None, body: Body) -> int:
    """The status; for a stream's event or a 200 that holds an error, the one that the body names."""
    if status is not None and not 100 <= status < 300:  # noqa: PLR2004
        return status
    return body.statuses[0] if body.statuses else NO_STATUS


def _counts(plain: str, identifiers: list[str]) -> list[Count]:
    return find_counts([plain, *identifiers])


def _settle_count(counts: list[Count], limits: tuple[ObservedLimit, ...]) -> Count:
    """The one count that was refused; an empty one where the answer leaves it open.

    Words come first. A day beats a minute where both are exceeded; several dimensions at once leave it open. What words
    leave open may be told by the one limit that has nothing left.
    """
    windowed = [count for count in counts if count.window]
    days = [count for count in windowed if count.window == "day"]
    named = {count.dimension for count in counts if count.dimension}
    if days and len(windowed) > len(days):
        windowed = days
    spoken = {count.dimension for count in windowed if count.dimension}
    if "concurrency" in named:
        return Count("concurrency", None) if len(named) == 1 else Count(None, None)
    if len(spoken) > 1 and not days:
        return Count(None, None)
    if windowed:
        first = next((count for count in windowed if count.dimension), windowed[0])
        return first if first.dimension or len(named) != 1 else Count(named.pop(), first.window)
    spent = [limit for limit in limits if limit.remaining == 0 and limit.period_s]
    if len(named) == 1:
        kind = named.pop()
        spent = [limit for limit in spent if limit.dimension[-6:] == str(kind)[-6:]]
        known = Count(kind, None)
    else:
        known = Count(None, None)
    if len({limit.dimension for limit in spent}) == 1:
        period_s = max(limit.period_s or 0.0 for limit in spent)
        return Count(spent[0].dimension, window_of(period_s))
    return known


def _find_row(status: int, codes: set[str], words: str, counts: list[Count]) -> Row:
    windowed = any(count.window not in {None, "month"} for count in counts)
    for row in TABLE:
        if (windowed or not row.windowed) and row.fits(status, codes, words):
            return row
    return TABLE[-1]


def _bare(code: str) -> str:
    return "".join(char for char in code.lower() if char.isalnum())


def _declared_models(headers: Headers, body: Body) -> list[str]:
    named = (headers.get("x-ms-deployment-name"), headers.get("x-ratelimit-key"))
    return [*body.models, *(name for name in named if name)]


def _is_plain(row: Row, codes: set[str]) -> bool:
    return row.plain or row.has_code(codes)


def _telling_code(body: Body, row: Row) -> str | None:
    """The code that decided, else the first that is more than `error`."""
    spoken = sorted((code for code in body.codes if " " not in code), key=lambda code: code in body.types)
    for code in spoken:
        if row.has_code((_bare(code),)):
            return mask_secrets(code)
    dull = {"error", "apierror", "none", "null", "invalidrequesterror"}
    told = next((code for code in spoken if _bare(code) not in dull), spoken[0] if spoken else None)
    return mask_secrets(told) if told else (body.numbers[0].rpartition("=")[2] if body.numbers else None)


def _summary(text: str) -> str:
    """The first words, on one line, without secrets. Masked before it is cut, so that no key is halved."""
    line = " ".join(mask_secrets(text[: _MESSAGE_CHARS * 5]).split())
    return line if len(line) <= _MESSAGE_CHARS else line[: _MESSAGE_CHARS - 1].rstrip() + "…"


def _status_words(status: int) -> str:
    return f"HTTP {status} {_STATUS_PHRASES.get(status, '')}".strip() if status else ""
