"""Error bodies, in the shapes of several providers and in words of our own.

`TROUBLES` says what each trouble is in OpenAI's terms; a style turns that into a provider's body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from stable_openai.simulator.durations import plain, spoken

if TYPE_CHECKING:
    from stable_openai.simulator.lanes import Shortage
    from stable_openai.simulator.messages import JSON


class Trouble(NamedTuple):
    """One kind of error: status, type and code as OpenAI gives them, and the text, with fields of `Facts` in braces."""

    status: int
    type: str
    code: str | None
    text: str


INVALID = "invalid_request_error"

TROUBLES = {
    "no_key": Trouble(401, INVALID, None, "No API key came with the request; send one as a Bearer token."),
    "dead": Trouble(401, INVALID, "invalid_api_key", "The API key {masked} is incorrect. See the list of your keys."),
    "disabled": Trouble(401, INVALID, "account_deactivated", "The account that this key belongs to is deactivated."),
    "unpaid": Trouble(
        429,
        "insufficient_quota",
        "insufficient_quota",
        "The current quota of this account is exceeded: see its plan and billing details.",
    ),
    "blocked": Trouble(
        403, INVALID, None, "This key has insufficient permissions for the operation. Missing scopes: model.request."
    ),
    "region": Trouble(
        403,
        "request_forbidden",
        "unsupported_country_region_territory",
        "Your country, region or territory is not supported.",
    ),
    "model": Trouble(
        404, INVALID, "model_not_found", "The model `{model}` does not exist, or this key has no access to it."
    ),
    "context": Trouble(
        400,
        INVALID,
        "context_length_exceeded",
        "The maximum context length of this model is {limit} tokens; your messages have {used}. Shorten them.",
    ),
    "bad_request": Trouble(400, INVALID, None, "{message}"),
    "unknown_url": Trouble(404, INVALID, "unknown_url", "There is nothing at this URL: {message}."),
    "bad_method": Trouble(405, INVALID, "method_not_supported", "This URL does not take the method: {message}."),
    "too_long": Trouble(413, INVALID, "request_too_large", "The body of the request is larger than {limit} bytes."),
    "not_admin": Trouble(
        401, INVALID, None, "This key has insufficient permissions here. Missing scopes: api.management.read."
    ),
    "no_project": Trouble(404, INVALID, "project_not_found", "There is no project {message} in this organization."),
    "server_error": Trouble(
        500, "server_error", "server_error", "The server failed on your request; you can send it again ({request_id})."
    ),
    "overloaded": Trouble(
        503, "server_error", None, "The model is overloaded with other requests at the moment. Try again later."
    ),
    "unavailable": Trouble(503, "server_error", None, "The service is temporarily unavailable."),
}

PERIODS = {
    "rpm": ("requests per min (RPM)", "requests"),
    "rpd": ("requests per day (RPD)", "requests"),
    "tpm": ("tokens per min (TPM)", "tokens"),
    "tpd": ("tokens per day (TPD)", "tokens"),
}


@dataclass(frozen=True)
class Facts:
    """What a text may speak of.

    Attributes:
        model: Model asked for.
        masked: The key with its middle struck out.
        organisation: Id of the key's organisation.
        request_id: Id of the request.
        message: Words of the case itself.
        param: Parameter that is wrong.
        code: Code of the case itself.
        limit: A limit that is no rate limit.
        used: What exceeds it.
        shortage: The rate limit that has no room.
        told_wait_s: Seconds that the text is to name; None to name none.
        scaled: Whether the provider's minute is not a minute.
    """

    model: str = ""
    masked: str = ""
    organisation: str = ""
    request_id: str = ""
    message: str = ""
    param: str | None = None
    code: str | None = None
    limit: int = 0
    used: int = 0
    shortage: Shortage | None = None
    told_wait_s: float | None = None
    scaled: bool = False


def mask(secret: str) -> str:
    """Strike out all of a secret but its ends; a short one altogether."""
    return f"{secret[:3]}****{secret[-4:]}" if len(secret) >= 12 else "****"


def trouble_of(kind: str, facts: Facts) -> Trouble:
    """Give the trouble with its text filled in."""
    if facts.shortage is not None:
        return limit_trouble(facts.shortage, facts)
    trouble = TROUBLES[kind]
    values = {name: getattr(facts, name) for name in ("model", "masked", "request_id", "message", "limit", "used")}
    text = trouble.text.format_map(values)
    return trouble._replace(text=text, code=facts.code or trouble.code)


def place_of(shortage: Shortage, facts: Facts) -> str:
    """Say what a limit belongs to: the model where it counts one, and the organisation unless it is the key's own."""
    model = f" for {shortage.lane.model}" if shortage.lane.model else ""
    return f"{model} in organization {facts.organisation}" if facts.organisation else f"{model} with this API key"


def limit_trouble(shortage: Shortage, facts: Facts) -> Trouble:
    """Describe a rate limit in OpenAI's terms."""
    place = place_of(shortage, facts)
    if shortage.reason == "concurrency":
        text = f"The rate limit is reached{place}: at most {shortage.limit} concurrent requests, now {shortage.used}."
        return Trouble(429, "requests", "rate_limit_exceeded", text)
    name, kind = PERIODS[shortage.reason]
    if shortage.too_large:
        text = (
            f"Request too large{place} on {name}: Limit {shortage.limit}, Requested {shortage.requested}. Shorten it."
        )
        return Trouble(429, kind, "rate_limit_exceeded", text)
    hint = "" if facts.told_wait_s is None else f" Try again in {spoken(facts.told_wait_s)}."
    numbers = f"Limit {shortage.limit}, Used {shortage.used}, Requested {shortage.requested}."
    return Trouble(429, kind, "rate_limit_exceeded", f"The rate limit is reached{place} on {name}: {numbers}{hint}")


def openai_body(_kind: str, trouble: Trouble, facts: Facts) -> tuple[int, JSON]:
    """Shape an error as OpenAI does."""
    error = {"message": trouble.text, "type": trouble.type, "param": facts.param, "code": trouble.code}
    return trouble.status, {"error": error}


def groq_body(_kind: str, trouble: Trouble, facts: Facts) -> tuple[int, JSON]:
    """Shape an error as Groq does: OpenAI's fields without `param`, and 413 for what is larger than a limit."""
    status = 413 if facts.shortage is not None and facts.shortage.too_large else trouble.status
    error = {"message": trouble.text, "type": trouble.type}
    return status, {"error": error if trouble.code is None else {**error, "code": trouble.code}}


AZURE_CODES = {"model": "DeploymentNotFound", "disabled": "AccountDisabled", "unpaid": "insufficient_quota"}


def azure_body(kind: str, trouble: Trouble, facts: Facts) -> tuple[int, JSON]:
    """Shape an error as Azure does: a code and a text, the wait in whole seconds."""
    text = trouble.text
    shortage = facts.shortage
    if shortage is not None and shortage.reason != "concurrency" and not shortage.too_large:
        counted = "token" if shortage.reason in ("tpm", "tpd") else "call"
        day = " of the day" if shortage.reason in ("rpd", "tpd") else ""
        target = f" to {shortage.lane.model}" if shortage.lane.model else ""
        text = f"Your requests{target} are over the {counted} rate limit{day} of your pricing tier."
        if facts.told_wait_s is not None:
            text += f" Please retry after {plain(facts.told_wait_s, scaled=facts.scaled)} seconds."
    elif kind == "dead":
        text = "Access denied: the subscription key is invalid, or the API endpoint is not the key's."
    code = "429" if shortage is not None else AZURE_CODES.get(kind, str(trouble.status))
    return trouble.status, {"error": {"code": code, "message": text}}


GEMINI_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
GEMINI_OTHERS = {"dead": 400, "no_key": 403, "disabled": 403, "region": 400}
GOOGLE = "type.googleapis.com/google.rpc."


def gemini_body(kind: str, trouble: Trouble, facts: Facts) -> tuple[int, JSON]:
    """Shape an error as Gemini's OpenAI-compatible endpoint does: a list of one error with details."""
    status = GEMINI_OTHERS.get(kind, trouble.status)
    name = "FAILED_PRECONDITION" if kind == "region" else GEMINI_STATUS.get(status, "UNKNOWN")
    error: dict[str, JSON] = {"code": status, "message": trouble.text, "status": name}
    if kind == "dead":
        error["message"] = "The API key is not valid. Pass a valid API key."
        error["details"] = [{"@type": f"{GOOGLE}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]
    elif kind == "unpaid":  # Gemini's rate limits speak of quota and billing, so this must be plainer
        error["message"] = "The prepaid credits of this project are depleted: manage its billing to go on."
    elif facts.shortage is not None and facts.shortage.reason != "concurrency":
        error["message"], error["details"] = gemini_quota(facts.shortage, facts.told_wait_s)
    return status, [{"error": error}]


def gemini_quota(shortage: Shortage, told_wait_s: float | None) -> tuple[str, list[JSON]]:
    """Describe a rate limit as Gemini does: by a metric, a quota's id and a delay."""
    counted = "input_token_count" if shortage.reason in ("tpm", "tpd") else "requests"
    metric = f"generativelanguage.googleapis.com/generate_content_{counted}"
    what = "InputTokens" if counted != "requests" else "Requests"
    period = "Day" if shortage.reason in ("rpd", "tpd") else "Minute"
    model = shortage.lane.model
    quota_id = f"GenerateContent{what}Per{period}PerProject{'PerModel' if model else ''}"
    violation: dict[str, JSON] = {"quotaMetric": metric, "quotaId": quota_id, "quotaValue": str(shortage.limit)}
    text = f"Quota exceeded for metric: {metric}, limit: {shortage.limit}"
    if model:
        violation["quotaDimensions"] = {"location": "global", "model": model}
        text += f", model: {model}"
    details: list[JSON] = [{"@type": f"{GOOGLE}QuotaFailure", "violations": [violation]}]
    if told_wait_s is not None and not shortage.too_large:
        delay = plain(told_wait_s, scaled=True)
        details.append({"@type": f"{GOOGLE}RetryInfo", "retryDelay": f"{delay}s"})
        text += f"\nPlease retry in {delay}s."
    return text, details


def plain_body(_kind: str, trouble: Trouble, facts: Facts) -> tuple[int, JSON]:
    """Shape an error as small providers do: a text and the status."""
    text = trouble.text
    if facts.shortage is not None and not facts.shortage.too_large:
        text = "Too many concurrent requests." if facts.shortage.reason == "concurrency" else "Rate limit exceeded."
        if facts.told_wait_s is not None:
            text += f" Retry after {plain(facts.told_wait_s, scaled=facts.scaled)} seconds."
    return trouble.status, {"error": {"message": text, "code": trouble.status}}


STYLES = {
    "openai": openai_body,
    "azure": azure_body,
    "groq": groq_body,
    "gemini": gemini_body,
    "plain": plain_body,
}


def refuse(style: str, kind: str, facts: Facts) -> tuple[int, JSON]:
    """Give status and body of an error in a provider's style."""
    return STYLES[style](kind, trouble_of(kind, facts), facts)
