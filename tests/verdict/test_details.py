"""What a verdict tells beside reason and scope, and how it finds the wait."""

from __future__ import annotations

import pytest

from stable_openai.verdict import Answer, Reason, Verdict, judge


def _error(message, **more):
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    ("message", "headers", "owner", "kind"),
    [
        ("Limit hit in organization org-a1B2c3 on x", {}, "org-a1B2c3", "organization"),
        ("Limit hit in organization `org_01abc` service tier", {"openai-organization": "acme"}, "org_01abc", "organization"),
        ("Project `proj_a1b2` has no access", {}, "proj_a1b2", "project"),
        ("your organization (0aa11bb2-1111-2222-3333-444455556666) is over", {}, "0aa11bb2-1111-2222-3333-444455556666", "organization"),
        ("Your team 0aa11bb2-1111-2222-3333-444455556666 is over", {}, "0aa11bb2-1111-2222-3333-444455556666", "account"),
        ("The account acct-a is over", {}, "acct-a", "account"),
        ("used in project 123456 before", {}, "123456", "project"),
        ("no", {"openai-organization": "acme", "openai-project": "proj_1"}, "acme", "organization"),
        ("no", {"openai-project": "proj_1"}, "proj_1", "project"),
        ("no account is named", {}, None, None),
    ],
)  # fmt: skip
def test_owners(message, headers, owner, kind):
    """The owner that the text names, else the one of a header."""
    verdict = judge(Answer(429, headers, _error(message)))
    assert (verdict.owner, verdict.owner_kind) == (owner, kind)


@pytest.mark.parametrize(
    ("message", "model"),
    [
        ("The model `acme-4o` does not exist", "acme-4o"),
        ("model 'acme:latest' not found", "acme:latest"),
        ("models/acme-pro-2 is not found", "acme-pro-2"),
        ("Invalid model: acme-large", "acme-large"),
        ("Limit hit for acme/one-7b:free in organization org-1 on x", "acme/one-7b:free"),
        ("Daily limit reached on model acme/flash-4.", "acme/flash-4"),
        ("模型 glm-4-plus 不存在", "glm-4-plus"),
        ("The model does not exist", None),
        ("Limit reached for requests", None),
    ],
)
def test_models(message, model):
    """The model is taken in the letters in which it is written."""
    assert judge(Answer(404 if "not" in message or "不" in message else 429, {}, _error(message))).model == model


def test_azure_names_the_deployment_in_a_header():
    """Azure's limits belong to deployments, which a header names."""
    verdict = judge(Answer(429, {"x-ms-deployment-name": "mine-4o"}, "no"))
    assert (verdict.model, verdict.scope.value) == ("mine-4o", "key_and_model")


def test_oversized():
    """A request above the whole limit is marked: waiting does not help, a larger limit may."""
    text = "Request too large for acme-4 on tokens per min (TPM): Limit 10, Requested 12."
    assert judge(Answer(429, {}, _error(text))).oversized
    assert judge(Answer(413, {}, text)).oversized
    fits = "Limit hit for acme-4 on tokens per min (TPM): Limit 10, Used 9, Requested 2."
    assert not judge(Answer(429, {}, _error(fits))).oversized


@pytest.mark.parametrize(
    ("status", "body", "plain"),
    [
        (401, _error("no", code="invalid_api_key"), True),
        (401, _error("no", code="account_deactivated"), True),
        (401, {"code": "wrong_api_key"}, True),
        (401, {"detail": "no"}, False),
        (403, None, False),
        (429, _error("no", code="insufficient_quota"), True),
        (429, None, False),
    ],
)
def test_plain(status, body, plain):
    """An unmistakable code is told from a bare status."""
    assert judge(Answer(status, {}, body)).plain is plain


def test_code():
    """The code that decided is named, before types and dull words."""
    assert (
        judge(Answer(401, {}, _error("no", type="invalid_request_error", code="invalid_api_key"))).code
        == "invalid_api_key"
    )
    assert judge(Answer(429, {}, _error("no", type="tokens", code="rate_limit_exceeded"))).code == "rate_limit_exceeded"
    assert judge(Answer(400, {}, _error("no", type="invalid_request_error"))).code == "invalid_request_error"
    assert judge(Answer(429, {}, {"error": {"code": "1302", "message": "慢"}})).code == "1302"
    assert judge(Answer(500)).code is None


NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("headers", "body", "wait_s"),
    [
        ({"retry-after": "3"}, "Try again in 2.3s", 2.3),
        ({"retry-after": "3", "retry-after-ms": "2300"}, "", 2.3),
        ({"retry-after": "1", "retry-after-ms": "0"}, "", 1.0),
        ({"retry-after": "0"}, "", 0.0),
        ({"retry-after": "-3"}, "", None),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "1m30s"}, "", 90.0),
        ({}, {"error": {"message": "no", "details": [{"retryDelay": "7s"}]}}, 7.0),
        ({}, {"message": "no", "retry_after": 0.65}, 0.65),
        ({}, {"error": {"message": "no", "metadata": {"retry_after_ms": 1500}}}, 1.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-limit-requests": "5", "x-ratelimit-reset-requests": "12s"}, "", 12.0),
        ({"x-ratelimit-remaining-requests": "4", "x-ratelimit-limit-requests": "5", "x-ratelimit-reset-requests": "12s"}, "", None),
        ({"x-ratelimit-reset": "1767225630", "date": "Thu, 01 Jan 2026 00:00:00 GMT"}, "", 30.0),
        ({"x-ratelimit-reset": "1767225630"}, "", None),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT", "date": "Thu, 01 Jan 2026 00:00:00 GMT"}, "", 30.0),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT"}, "", None),
        ({"retry-after": "Wed, 31 Dec 2025 00:00:30 GMT", "date": "Thu, 01 Jan 2026 00:00:00 GMT"}, "", None),
        ({"ratelimit": '"x";r=0;t=9'}, "", 9.0),
    ],
)  # fmt: skip
def test_waits(headers, body, wait_s):
    """The most exact correct source wins; resets count only where nothing is left."""
    assert judge(Answer(429, headers, body)).wait_s == wait_s


def test_instants_become_waits_with_now():
    """An instant without a `date` header is kept as such, or becomes a wait by `now`."""
    answer = Answer(429, {"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT"})
    pure = judge(answer)
    assert (pure.wait_s, pure.retry_at_epoch) == (None, NOW + 30)
    timed = judge(answer, now=NOW)
    assert (timed.wait_s, timed.retry_at_epoch) == (30.0, None)
    assert judge(Answer(429, {}, {"error": {"message": "no", "resets_at": NOW + 5}}), now=NOW).wait_s == 5.0


def test_rules_are_asked_first():
    """A user's rule sees the answer and its source; the first that answers decides; None passes on."""
    seen = []
    mine = Verdict(Reason.OVERLOADED)

    def note(answer):
        seen.append(answer)

    def teapot(answer):
        return mine if answer.status == 418 else None

    source = Answer(418, {}, "short and stout")
    assert judge(source, rules=[note, teapot]) is mine
    assert seen[0].source is source
    assert judge(Answer(401), rules=[teapot]).reason is Reason.INVALID_KEY


def test_rules_see_what_is_no_answer():
    """A rule may claim a user's own exception, and a plain result."""
    own = KeyError("gone")
    claim = Verdict(Reason.SERVER_ERROR)
    assert judge(own, rules=[lambda answer: claim if answer.source is own else None]) is claim
    assert judge("text", rules=[lambda answer: claim if answer.source == "text" else None]) is claim


def test_a_rule_that_gives_something_else():
    """Anything but a Verdict or None is a mistake that is told."""
    with pytest.raises(TypeError, match="not str"):
        judge(Answer(200), rules=[lambda _: "overloaded"])
