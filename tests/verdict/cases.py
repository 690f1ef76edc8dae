"""Answers in the shapes that providers use, in words of our own: (name, answer, expected).

Each expectation is (reason, scope, wait in seconds). `retry_elsewhere` follows from the scope.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from stable_openai.verdict import Answer, Reason, Scope

R, S = Reason, Scope


class Case(NamedTuple):
    """One answer and what it means."""

    name: str
    answer: Answer
    reason: Reason
    scope: Scope
    wait_s: float | None = None


def case(
    name: str, status: int | None, body: Any, reason: Reason, scope: Scope, wait_s: float | None = None, **headers: str
) -> Case:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Case(name, Answer(status, named, body), reason, scope, wait_s)


def error(message: str, type_: str | None = None, code: Any = None, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": type_, "code": code, **more}}


_MINUTE_R, _MINUTE_T = R.RATE_LIMITED_REQUESTS_MINUTE, R.RATE_LIMITED_TOKENS_MINUTE
_DAY_R, _DAY_T = R.RATE_LIMITED_REQUESTS_DAY, R.RATE_LIMITED_TOKENS_DAY
_SOME = R.RATE_LIMITED_UNSPECIFIED

RATE_LIMITS = [
    case(
        "openai style, tokens by the minute",
        429,
        error(
            "Limit hit for acme-4o-mini in organization org-a1b2c3 on tokens per min (TPM): Limit 90000, Used 89000, Requested 4000. Please try again in 2.4s.",
            "tokens",
            "rate_limit_exceeded",
        ),
        _MINUTE_T,
        S.KEY_AND_MODEL,
        2.4,
        retry_after="3",
    ),
    case(
        "openai style, requests by the day",
        429,
        error(
            "Limit hit for acme-4 in organization org-a1b2c3 on requests per day (RPD): Limit 200, Used 200, Requested 1. Please try again in 7m12s.",
            "requests",
            "rate_limit_exceeded",
        ),
        _DAY_R,
        S.KEY_AND_MODEL,
        432.0,
    ),
    case(
        "openai style, tokens by the day",
        429,
        error(
            "Limit hit for acme-4 in organization org-a1b2c3 on tokens per day (TPD): Limit 10000, Used 9990, Requested 120. Please try again in 15m50.4s."
        ),
        _DAY_T,
        S.KEY_AND_MODEL,
        950.4,
    ),
    case(
        "openai style, larger than the limit",
        429,
        error(
            "Request too large for acme-4 in organization org-a1b2c3 on tokens per min (TPM): Limit 10000, Requested 12345.",
            "tokens",
            "rate_limit_exceeded",
        ),
        _MINUTE_T,
        S.KEY_AND_MODEL,
    ),
    case(
        "images by the minute",
        429,
        error(
            "Limit hit for images per minute in organization org-a1b2c3. Limit: 5/1min. Current: 6/1min.",
            "rate_limit_error",
            "rate_limit_exceeded",
        ),
        _MINUTE_R,
        S.ORGANIZATION,
    ),
    case(
        "anthropic style, requests by the minute",
        429,
        {
            "type": "error",
            "error": {
                "type": "rate_limit_error",
                "message": "Your organization (0aa11bb2-1111-2222-3333-444455556666) may send 50 requests per minute; this one is above that.",
            },
        },
        _MINUTE_R,
        S.ORGANIZATION,
        11.0,
        retry_after="11",
    ),
    case(
        "anthropic style, output tokens and a model",
        429,
        {
            "type": "error",
            "error": {
                "type": "rate_limit_error",
                "message": "Over your organization's limit of 8,000 output tokens per minute (model: claude-acme-4).",
            },
        },
        _MINUTE_T,
        S.KEY_AND_MODEL,
    ),
    case(
        "anthropic style, by the day",
        429,
        {
            "type": "error",
            "error": {
                "type": "rate_limit_error",
                "message": "Over your daily rate limit of 1,000,000 tokens per day. Try again tomorrow.",
            },
        },
        _DAY_T,
        S.KEY,
    ),
    case(
        "gemini style, requests by the minute in quotaId",
        429,
        {
            "error": {
                "code": 429,
                "status": "RESOURCE_EXHAUSTED",
                "message": "Quota exceeded for metric: example.com/generate_requests, limit: 15\nPlease retry in 31.5s.",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                        "violations": [
                            {
                                "quotaId": "GenerateRequestsPerMinutePerProjectPerModel",
                                "quotaDimensions": {"model": "gem-1"},
                                "quotaValue": "15",
                            }
                        ],
                    },
                    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "31s"},
                ],
            }
        },
        _MINUTE_R,
        S.KEY_AND_MODEL,
        31.5,
    ),
    case(
        "gemini style, day and minute at once",
        429,
        [
            {
                "error": {
                    "code": 429,
                    "status": "RESOURCE_EXHAUSTED",
                    "message": "You exceeded your current quota.",
                    "details": [
                        {
                            "violations": [
                                {
                                    "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
                                    "quotaDimensions": {"model": "gem-1"},
                                },
                                {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"},
                            ]
                        },
                        {"retryDelay": "7.5s"},
                    ],
                }
            }
        ],
        _DAY_R,
        S.KEY_AND_MODEL,
        7.5,
    ),
    case(
        "vertex style, window inside the metric",
        429,
        {
            "error": {
                "code": 429,
                "status": "RESOURCE_EXHAUSTED",
                "message": "Quota exceeded for aiplatform.example/generate_content_requests_per_minute_per_project_per_base_model with base model: gem-pro-2.",
            }
        },
        _MINUTE_R,
        S.KEY_AND_MODEL,
    ),
    case(
        "mistral style, nothing said",
        429,
        {"object": "error", "message": "Requests over the rate limit", "type": "rate_limited", "code": "1300"},
        _SOME,
        S.KEY,
    ),
    case(
        "mistral style, told by the headers",
        429,
        {"message": "Rate limit hit"},
        _MINUTE_R,
        S.KEY,
        None,
        x_ratelimit_limit_req_minute="60",
        x_ratelimit_remaining_req_minute="0",
    ),
    case(
        "cerebras style, by the hour",
        429,
        {
            "message": "Tokens per hour limit exceeded - too many tokens.",
            "type": "too_many_tokens_error",
            "code": "token_quota_exceeded",
        },
        _SOME,
        S.KEY,
    ),
    case(
        "cerebras style, tokens by the day",
        429,
        {
            "message": "Tokens per day limit exceeded - too many tokens.",
            "type": "too_many_tokens_error",
            "code": "token_quota_exceeded",
        },
        _DAY_T,
        S.KEY,
    ),
    case(
        "together style, queries by the second",
        429,
        error("Your account may send 3 queries per second.", "rate_limit"),
        _MINUTE_R,
        S.ORGANIZATION,
    ),
    case(
        "bedrock style, tokens by the day",
        429,
        {"message": "Too many tokens per day, wait before trying again."},
        _DAY_T,
        S.KEY,
        None,
        x_amzn_errortype="ThrottlingException:http://internal.example/",
    ),
    case(
        "bedrock style, tokens",
        429,
        {"message": "Too many tokens, wait before trying again."},
        _SOME,
        S.KEY,
        None,
        x_amzn_errortype="ThrottlingException",
    ),
    case("nvidia style", 429, {"status": 429, "title": "Too Many Requests"}, _SOME, S.KEY),
    case(
        "sambanova style",
        429,
        error("Rate limit hit", "rate_limit_error", None),
        _MINUTE_R,
        S.KEY,
        12.0,
        retry_after="12",
        x_ratelimit_limit_requests="30",
        x_ratelimit_remaining_requests="0",
        x_ratelimit_limit_requests_minute="30",
        x_ratelimit_remaining_requests_minute="0",
    ),
    case(
        "azure api management",
        429,
        {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 44 seconds."},
        _SOME,
        S.KEY,
        44.0,
    ),
    case(
        "azure api management, allowance of calls",
        403,
        {"statusCode": 403, "message": "Out of call volume quota. It is replenished in 1.02:00:00."},
        R.QUOTA_EXHAUSTED,
        S.KEY,
        93600.0,
    ),
    case(
        "azure style, call rate",
        429,
        error(
            "Requests to the Embeddings_Create Operation under Azure OpenAI API version 2030-01-01 have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after 27 seconds.",
            None,
            "429",
        ),
        _MINUTE_R,
        S.KEY_AND_MODEL,
        27.0,
    ),
    case(
        "moonshot style, concurrency",
        429,
        error(
            "Your account org-a1b2c3<ak-a1b2c3d4e5> request reached organization max concurrency: 3, please try again after 1 seconds",
            "rate_limit_reached_error",
        ),
        R.RATE_LIMITED_CONCURRENCY,
        S.ORGANIZATION,
        1.0,
    ),
    case(
        "anthropic style, connections",
        429,
        {
            "type": "error",
            "error": {"type": "rate_limit_error", "message": "Too many concurrent connections for this key."},
        },
        R.RATE_LIMITED_CONCURRENCY,
        S.KEY,
    ),
    case(
        "zhipu style, concurrency in Chinese",
        429,
        {"error": {"code": "1302", "message": "您当前使用该 API 的并发数过高，请降低并发"}},
        R.RATE_LIMITED_CONCURRENCY,
        S.KEY,
    ),
    case(
        "chinese, by the minute",
        429,
        {"code": "limit", "message": "每分钟请求次数已达上限，请 20 秒后重试"},
        _MINUTE_R,
        S.KEY,
        20.0,
    ),
    case(
        "chinese, by the day and the model",
        429,
        {"error": {"message": "模型 glm-4-plus 今日调用次数已超上限"}},
        _DAY_R,
        S.KEY_AND_MODEL,
    ),
    case(
        "chinese, tokens by the minute of an account",
        429,
        {"error": {"message": "您的账号每分钟 token 用量已超限制"}},
        _MINUTE_T,
        S.ORGANIZATION,
    ),
    case(
        "tencent style",
        200,
        {"Response": {"Error": {"Code": "RequestLimitExceeded", "Message": "请求频率超限"}, "RequestId": "x"}},
        _SOME,
        S.KEY,
    ),
    case(
        "baidu style, by the day",
        200,
        {"error_code": 17, "error_msg": "Open api daily request limit reached"},
        _DAY_R,
        S.KEY,
    ),
    case(
        "baidu style, by the second",
        200,
        {"error_code": 18, "error_msg": "Open api qps request limit reached"},
        _MINUTE_R,
        S.KEY,
    ),
    case(
        "baidu style, compatible",
        429,
        error("Reached the RPM of this model", "rate_limit_exceeded", "rpm_rate_limit_exceeded"),
        _MINUTE_R,
        S.KEY_AND_MODEL,
    ),
    case("minimax style", 200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit, RPM"}}, _MINUTE_R, S.KEY),
    case(
        "dashscope style, allocated tokens",
        429,
        {"code": "Throttling.AllocationQuota", "message": "Allocated quota is exceeded, raise your quota."},
        _SOME,
        S.KEY,
    ),
    case(
        "dashscope style, burst",
        429,
        error("Requests grew too quickly.", "limit_burst_rate", "limit_burst_rate"),
        _SOME,
        S.KEY,
    ),
    case(
        "siliconflow style",
        429,
        {
            "code": 50601,
            "message": "Rejected because of rate limiting. Details: RPM limit reached. Complete the verification to lift it.",
        },
        _MINUTE_R,
        S.KEY,
    ),
    case(
        "openrouter style, free models by the minute",
        429,
        {
            "error": {
                "code": 429,
                "message": "Rate limit exceeded: free-models-per-min. ",
                "metadata": {
                    "headers": {
                        "X-RateLimit-Limit": "20",
                        "X-RateLimit-Remaining": "0",
                        "X-RateLimit-Reset": "1767225660000",
                    }
                },
            }
        },
        _MINUTE_R,
        S.KEY,
        30.0,
        date="Thu, 01 Jan 2026 00:00:30 GMT",
    ),
    case(
        "ip address", 429, "Too many requests from this IP, please try again after 15 minutes", _SOME, S.ENDPOINT, 900.0
    ),
    case(
        "github style, secondary limit",
        403,
        {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."},
        _SOME,
        S.KEY,
        60.0,
        retry_after="60",
    ),
    case(
        "usage window of hours",
        429,
        {
            "error": {
                "code": "1308",
                "message": "Usage limit reached for 5 hour. Your limit will reset at 2030-01-01 10:00:00",
            }
        },
        _SOME,
        S.KEY,
    ),
    case(
        "groq style, audio by the hour",
        429,
        error(
            "Limit hit for model `whisper-acme-3` in organization `org_01abc` on seconds of audio per hour (ASH): Limit 7200, Used 7200, Requested 40. Please try again in 20s.",
            "seconds",
            "rate_limit_exceeded",
        ),
        _SOME,
        S.KEY_AND_MODEL,
        20.0,
    ),
    case(
        "retry-after as a date",
        429,
        "",
        _SOME,
        S.KEY,
        90.0,
        retry_after="Thu, 01 Jan 2026 00:01:30 GMT",
        date="Thu, 01 Jan 2026 00:00:00 GMT",
    ),
    case(
        "nginx page",
        429,
        "<html><head><title>429 Too Many Requests</title></head><body><center><h1>429 Too Many Requests</h1></center></body></html>",
        _SOME,
        S.KEY,
    ),
    case(
        "kong gateway",
        429,
        {"message": "API rate limit exceeded"},
        _MINUTE_R,
        S.KEY,
        17.0,
        x_ratelimit_limit_minute="5",
        x_ratelimit_remaining_minute="0",
        ratelimit_limit="5",
        ratelimit_remaining="0",
        ratelimit_reset="17",
        retry_after="17",
    ),
]

MONEY = [
    case(
        "openai style",
        429,
        error("Your quota is used up, see your plan and billing.", "insufficient_quota", "insufficient_quota"),
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
    case(
        "anthropic style, credit",
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "Your credit balance is too low for this API. Buy credits under Plans & Billing.",
            },
        },
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
    case(
        "anthropic style, own cap",
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "You have reached your specified API usage limits. You will regain access on 2031-01-01 at 00:00 UTC.",
            },
        },
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
    case("empty 402", 402, None, R.QUOTA_EXHAUSTED, S.KEY),
    case(
        "openrouter style, credits",
        402,
        error("Insufficient credits. Add more in your settings.", None, 402),
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
    case("openrouter style, key", 403, error("Key limit exceeded (total limit).", None, 403), R.QUOTA_EXHAUSTED, S.KEY),
    case(
        "huggingface style",
        402,
        {"error": "You have exceeded your monthly included credits for Inference."},
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
    case(
        "siliconflow style",
        403,
        {"code": 30001, "message": "Sorry, your account balance is insufficient"},
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
    case(
        "cohere style, trial month",
        429,
        {"message": "You are using a Trial key, which is limited to 1000 API calls / month."},
        R.QUOTA_EXHAUSTED,
        S.KEY,
    ),
    case(
        "litellm style, team",
        400,
        error("Budget has been exceeded! Team=blue Current cost: 11.0, Max budget: 10.0", "budget_exceeded", "400"),
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
    case(
        "litellm style, key",
        400,
        error("ExceededTokenBudget: Current spend for token: 7.2; Max Budget for Token: 5", "auth_error"),
        R.QUOTA_EXHAUSTED,
        S.KEY,
    ),
    case(
        "dashscope style, arrears",
        400,
        {"code": "Arrearage", "message": "Access denied, make sure that your account is in good standing."},
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
    case(
        "volcengine style, overdue",
        403,
        error("The account has an overdue balance.", "Forbidden", "AccountOverdueError"),
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
    case(
        "chinese, balance", 403, {"error": {"message": "账户余额不足，请充值后再试"}}, R.QUOTA_EXHAUSTED, S.ORGANIZATION
    ),
    case(
        "chinese, key allowance",
        403,
        {"error": {"message": "该令牌额度已用尽", "type": "new_api_error"}},
        R.QUOTA_EXHAUSTED,
        S.KEY,
    ),
    case(
        "chinese, user allowance",
        403,
        {
            "error": {
                "message": "用户额度不足, 剩余额度: ＄0.00",
                "type": "new_api_error",
                "code": "insufficient_user_quota",
            }
        },
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
    case(
        "tencent style",
        200,
        {"Response": {"Error": {"Code": "FailedOperation.ResourcePackExhausted", "Message": "资源包余量已用尽"}}},
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
    case(
        "gemini style, prepaid",
        429,
        {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Your prepayment credits are depleted."}},
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
    case(
        "google billing",
        403,
        {
            "error": {
                "code": 403,
                "status": "PERMISSION_DENIED",
                "message": "This API method requires billing to be enabled on project #1234.",
                "details": [{"reason": "BILLING_DISABLED"}],
            }
        },
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
    case("weekly", 429, {"error": "you have reached your weekly usage limit"}, R.QUOTA_EXHAUSTED, S.KEY),
    case(
        "deepinfra style",
        402,
        {"detail": {"error": "inference prohibited, please enter a payment method"}},
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
    case(
        "stepfun style",
        402,
        error("quota used up, please check your plan", "quota_exceeded"),
        R.QUOTA_EXHAUSTED,
        S.ORGANIZATION,
    ),
]

KEYS = [
    case(
        "openai style",
        401,
        error("Incorrect API key provided: sk-abcd****wxyz.", "invalid_request_error", "invalid_api_key"),
        R.INVALID_KEY,
        S.KEY,
    ),
    case(
        "anthropic style",
        401,
        {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}},
        R.INVALID_KEY,
        S.KEY,
    ),
    case(
        "gemini style",
        400,
        {
            "error": {
                "code": 400,
                "status": "INVALID_ARGUMENT",
                "message": "API Key not found. Please pass a valid API key.",
                "details": [{"reason": "API_KEY_INVALID"}],
            }
        },
        R.INVALID_KEY,
        S.KEY,
    ),
    case(
        "aws style",
        403,
        {"message": "The security token included in the request is invalid."},
        R.INVALID_KEY,
        S.KEY,
        None,
        x_amzn_errortype="UnrecognizedClientException",
    ),
    case("github style", 401, {"message": "Bad credentials", "status": "401"}, R.INVALID_KEY, S.KEY),
    case(
        "nvidia style",
        403,
        {"status": 403, "title": "Forbidden", "detail": "Authentication failed"},
        R.INVALID_KEY,
        S.KEY,
    ),
    case("fastapi style", 403, {"detail": "Not authenticated"}, R.INVALID_KEY, S.KEY),
    case("json string", 401, '"Api key is invalid"', R.INVALID_KEY, S.KEY),
    case("minimax style", 200, {"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, R.INVALID_KEY, S.KEY),
    case(
        "baidu style",
        200,
        {"error_code": 110, "error_msg": "Access token invalid or no longer valid"},
        R.INVALID_KEY,
        S.KEY,
    ),
    case(
        "tencent style",
        200,
        {"Response": {"Error": {"Code": "AuthFailure.SecretIdNotFound", "Message": "密钥不存在"}}},
        R.INVALID_KEY,
        S.KEY,
    ),
    case(
        "chinese, expired or wrong",
        401,
        {"error": {"code": "401", "message": "令牌已过期或验证不正确！"}},
        R.INVALID_KEY,
        S.KEY,
    ),
    case(
        "chinese, none given", 401, {"error": {"message": "未提供令牌", "type": "one_api_error"}}, R.INVALID_KEY, S.KEY
    ),
    case("html", 401, "<html><body><h1>401 Unauthorized</h1></body></html>", R.INVALID_KEY, S.KEY),
    case(
        "account closed",
        401,
        error("The account behind this key was closed.", None, "account_deactivated"),
        R.KEY_DISABLED,
        S.ORGANIZATION,
    ),
    case(
        "organisation disabled",
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "This organization has been disabled."},
        },
        R.KEY_DISABLED,
        S.ORGANIZATION,
    ),
    case(
        "suspended consumer",
        403,
        {
            "error": {
                "code": 403,
                "status": "PERMISSION_DENIED",
                "message": "Permission denied: Consumer has been suspended.",
                "details": [{"reason": "CONSUMER_SUSPENDED"}],
            }
        },
        R.KEY_DISABLED,
        S.KEY,
    ),
    case("revoked", 401, error("This API key has been revoked.", "authentication_error"), R.KEY_DISABLED, S.KEY),
    case("chinese, banned user", 403, {"error": {"message": "用户已被封禁"}}, R.KEY_DISABLED, S.ORGANIZATION),
    case("chinese, key switched off", 401, {"error": {"message": "该令牌状态不可用"}}, R.KEY_DISABLED, S.KEY),
]

PERMISSIONS = [
    case(
        "scopes",
        401,
        error(
            "You have insufficient permissions for this operation. Missing scopes: api.files.read. Check that you have the correct role in your organization."
        ),
        R.PERMISSION_DENIED,
        S.KEY,
    ),
    case("bare 403", 403, None, R.PERMISSION_DENIED, S.KEY),
    case(
        "anthropic style",
        403,
        {"type": "error", "error": {"type": "permission_error", "message": "Your API key may not use this resource."}},
        R.PERMISSION_DENIED,
        S.KEY,
    ),
    case(
        "service not switched on",
        403,
        {
            "error": {
                "code": 403,
                "status": "PERMISSION_DENIED",
                "message": "Generative API has not been used in project 123456 before or it is disabled.",
                "details": [{"reason": "SERVICE_DISABLED"}],
            }
        },
        R.PERMISSION_DENIED,
        S.ORGANIZATION,
    ),
    case(
        "network rules",
        403,
        error("Access denied due to Virtual Network/Firewall rules.", None, "403"),
        R.PERMISSION_DENIED,
        S.KEY,
    ),
    case(
        "aws action",
        403,
        {"Message": "User: arn:aws:iam::123456789012:user/x is not authorized to perform: bedrock:ListThings"},
        R.PERMISSION_DENIED,
        S.ORGANIZATION,
    ),
    case(
        "membership",
        401,
        error("You must be a member of an organization to use this API.", "invalid_request_error"),
        R.PERMISSION_DENIED,
        S.ORGANIZATION,
    ),
    case(
        "project without the model",
        403,
        error(
            "Project `proj_a1b2c3` does not have access to model `acme-4o`", "invalid_request_error", "model_not_found"
        ),
        R.MODEL_UNAVAILABLE_FOR_KEY,
        S.KEY_AND_MODEL,
    ),
    case(
        "anthropic style, model",
        404,
        {"type": "error", "error": {"type": "not_found_error", "message": "model: claude-acme-9"}},
        R.MODEL_UNAVAILABLE_FOR_KEY,
        S.KEY_AND_MODEL,
    ),
    case(
        "mistral style, model",
        400,
        {"object": "error", "message": "Invalid model: acme-large", "type": "invalid_model", "code": "1500"},
        R.MODEL_UNAVAILABLE_FOR_KEY,
        S.KEY_AND_MODEL,
    ),
    case(
        "openrouter style, model id",
        400,
        error("acme/thing-7b is not a valid model ID", None, 400),
        R.MODEL_UNAVAILABLE_FOR_KEY,
        S.KEY_AND_MODEL,
    ),
    case(
        "litellm style, key without the model",
        401,
        error(
            "key not allowed to access model. This key can only access models=['a-1']. Tried to access b-2",
            "key_model_access_denied",
            "401",
        ),
        R.MODEL_UNAVAILABLE_FOR_KEY,
        S.KEY_AND_MODEL,
    ),
    case(
        "nvidia style, function",
        404,
        {
            "status": 404,
            "title": "Not Found",
            "detail": "Function '0aa11bb2-1111-2222-3333-444455556666': Not found for account 'abcDEF'",
        },
        R.MODEL_UNAVAILABLE_FOR_KEY,
        S.KEY_AND_MODEL,
    ),
    case(
        "deepseek style, model",
        400,
        error("Model Not Exist", "invalid_request_error", "invalid_request_error"),
        R.MODEL_UNAVAILABLE_FOR_KEY,
        S.KEY_AND_MODEL,
    ),
    case(
        "bedrock style, identifier",
        400,
        {"message": "The provided model identifier is invalid."},
        R.MODEL_UNAVAILABLE_FOR_KEY,
        S.KEY_AND_MODEL,
        None,
        x_amzn_errortype="ValidationException",
    ),
    case(
        "lmstudio style",
        404,
        error("No models loaded. Load one in the developer page.", "invalid_request_error", "model_not_found"),
        R.MODEL_UNAVAILABLE_FOR_KEY,
        S.KEY_AND_MODEL,
    ),
    case(
        "github style, model",
        403,
        error("No access to model: acme/o9", None, "no_access"),
        R.MODEL_UNAVAILABLE_FOR_KEY,
        S.KEY_AND_MODEL,
    ),
    case(
        "groq style, terms",
        400,
        error("The model `acme-tts` requires terms acceptance.", "invalid_request_error", "model_terms_required"),
        R.MODEL_UNAVAILABLE_FOR_KEY,
        S.KEY_AND_MODEL,
    ),
    case(
        "chinese, no channel",
        503,
        {"error": {"message": "当前分组 default 下对于模型 acme-4 无可用渠道", "type": "new_api_error"}},
        R.MODEL_UNAVAILABLE_FOR_KEY,
        S.KEY_AND_MODEL,
    ),
    case(
        "chinese, unknown model",
        400,
        {"error": {"code": "1211", "message": "模型不存在，请检查模型代码。"}},
        R.MODEL_UNAVAILABLE_FOR_KEY,
        S.KEY_AND_MODEL,
    ),
    case(
        "region",
        403,
        error("This API is not available in your country.", "request_forbidden"),
        R.REGION_BLOCKED,
        S.NONE,
    ),
    case(
        "region, Cloudflare page",
        403,
        "<html><title>Access denied</title><body>Error 1009. The owner has banned the country or region your address is in.</body></html>",
        R.REGION_BLOCKED,
        S.NONE,
    ),
    case("region, Chinese", 403, {"message": "您所在的地区不支持此服务"}, R.REGION_BLOCKED, S.NONE),
    case(
        "gone model",
        404,
        error("The model `acme-3` has been decommissioned.", "invalid_request_error", "model_decommissioned"),
        R.NOT_FOUND,
        S.NONE,
    ),
    case("gone model, Chinese", 400, {"error": {"message": "模型 acme-3 已下线"}}, R.NOT_FOUND, S.NONE),
]

FAULTS = [
    case(
        "422 list",
        422,
        {"detail": [{"loc": ["body", "messages"], "msg": "field required", "type": "value_error.missing"}]},
        R.BAD_REQUEST,
        S.NONE,
    ),
    case(
        "temperature",
        400,
        error(
            "Unsupported value: 'temperature' does not support 0.3 with this model.",
            "invalid_request_error",
            "unsupported_value",
        ),
        R.BAD_REQUEST,
        S.NONE,
    ),
    case(
        "schema",
        400,
        error("Invalid schema for response_format 'x'.", "invalid_request_error", "invalid_json_schema"),
        R.BAD_REQUEST,
        S.NONE,
    ),
    case(
        "body too large",
        413,
        "<html><head><title>413 Request Entity Too Large</title></head></html>",
        R.BAD_REQUEST,
        S.NONE,
    ),
    case(
        "anthropic body too large",
        413,
        {"type": "error", "error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}},
        R.BAD_REQUEST,
        S.NONE,
    ),
    case(
        "output too long asked",
        400,
        error(
            "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
            "invalid_request_error",
            "invalid_value",
        ),
        R.BAD_REQUEST,
        S.NONE,
    ),
    case("405", 405, {"detail": "Method Not Allowed"}, R.BAD_REQUEST, S.NONE),
    case("no such file", 404, error("No such File object: file-abc", "invalid_request_error"), R.NOT_FOUND, S.NONE),
    case("404 page", 404, "<html><head><title>404 Not Found</title></head></html>", R.NOT_FOUND, S.NONE),
    case(
        "wrong url",
        404,
        error("Invalid URL (POST /v1/v1/chat/completions)", "invalid_request_error"),
        R.NOT_FOUND,
        S.NONE,
    ),
    case(
        "anthropic context",
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 215000 tokens > 200000 maximum"},
        },
        R.CONTEXT_LENGTH,
        S.NONE,
    ),
    case(
        "bedrock context",
        400,
        {"message": "Input is too long for requested model."},
        R.CONTEXT_LENGTH,
        S.NONE,
        None,
        x_amzn_errortype="ValidationException",
    ),
    case(
        "llama.cpp context",
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_ctx": 4096,
            }
        },
        R.CONTEXT_LENGTH,
        S.NONE,
    ),
    case(
        "github context",
        413,
        error("Request body too large for acme-4o model. Max size: 8000 tokens.", None, "tokens_limit_reached"),
        R.CONTEXT_LENGTH,
        S.NONE,
    ),
    case(
        "dashscope context",
        400,
        error("Range of input length should be [1, 30720]", "invalid_request_error", "invalid_parameter_error"),
        R.CONTEXT_LENGTH,
        S.NONE,
    ),
    case("chinese context", 400, {"error": {"code": "1261", "message": "Prompt 超长"}}, R.CONTEXT_LENGTH, S.NONE),
    case(
        "openai moderation",
        400,
        error("Your request was rejected by our safety system.", "image_generation_user_error", "moderation_blocked"),
        R.CONTENT_FILTER,
        S.NONE,
    ),
    case(
        "openrouter moderation",
        403,
        {
            "error": {
                "code": 403,
                "message": "Input was flagged",
                "metadata": {"reasons": ["violence"], "flagged_input": "…"},
            }
        },
        R.CONTENT_FILTER,
        S.NONE,
    ),
    case(
        "chinese filter",
        400,
        {"error": {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}},
        R.CONTENT_FILTER,
        S.NONE,
    ),
    case(
        "minimax filter",
        200,
        {"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}},
        R.CONTENT_FILTER,
        S.NONE,
    ),
]

TROUBLE = [
    case("500 text", 500, "Internal Server Error", R.SERVER_ERROR, S.NONE),
    case("502 json", 502, {"error": {"message": "Bad gateway", "type": "bad_gateway"}}, R.SERVER_ERROR, S.NONE),
    case("envoy", 503, "no healthy upstream", R.SERVER_ERROR, S.NONE),
    case(
        "cloudflare 520",
        520,
        "<html><title>520: Web server is returning an unknown error</title></html>",
        R.SERVER_ERROR,
        S.NONE,
    ),
    case("cloudflare 524", 524, "<html><title>524: A timeout occurred</title></html>", R.TIMEOUT, S.NONE),
    case("cloudflare 522", 522, "error code: 522", R.TIMEOUT, S.NONE),
    case("504 page", 504, "<html><head><title>504 Gateway Time-out</title></head></html>", R.TIMEOUT, S.NONE),
    case("408", 408, None, R.TIMEOUT, S.NONE),
    case(
        "gemini deadline",
        504,
        {
            "error": {
                "code": 504,
                "message": "Deadline expired before the operation could complete.",
                "status": "DEADLINE_EXCEEDED",
            }
        },
        R.TIMEOUT,
        S.NONE,
    ),
    case(
        "anthropic overloaded",
        529,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        R.OVERLOADED,
        S.NONE,
    ),
    case(
        "anthropic internal",
        500,
        {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}},
        R.SERVER_ERROR,
        S.NONE,
    ),
    case(
        "moonshot busy",
        429,
        error("The engine is currently overloaded, please try again later", "engine_overloaded_error"),
        R.OVERLOADED,
        S.NONE,
    ),
    case(
        "deepseek busy",
        503,
        error("Service is too busy. Switch to another for now.", "service_unavailable_error"),
        R.OVERLOADED,
        S.NONE,
    ),
    case(
        "siliconflow busy",
        503,
        {"code": 50505, "message": "Model service overloaded. Please try again later."},
        R.OVERLOADED,
        S.NONE,
    ),
    case("openai slow down", 503, error("Slow down", "server_error", "slow_down"), R.OVERLOADED, S.NONE),
    case(
        "bedrock model not ready",
        429,
        {"message": "Model is not ready for inference."},
        R.OVERLOADED,
        S.NONE,
        None,
        x_amzn_errortype="ModelNotReadyException",
    ),
    case(
        "huggingface loading",
        503,
        {"error": "Model acme/bert is currently loading", "estimated_time": 20.5},
        R.OVERLOADED,
        S.NONE,
        20.5,
    ),
    case("chinese busy", 429, {"error": {"message": "当前服务器繁忙，请稍后再试"}}, R.OVERLOADED, S.NONE),
    case(
        "chinese high traffic",
        429,
        {"error": {"code": "1312", "message": "该模型当前访问量过大，请您稍后再试"}},
        R.OVERLOADED,
        S.NONE,
    ),
    case(
        "upstream limit",
        429,
        {
            "error": {
                "message": "Provider returned error",
                "code": 429,
                "metadata": {
                    "raw": "acme/one is temporarily rate-limited upstream; please retry shortly.",
                    "provider_name": "Acme",
                },
            }
        },
        R.OVERLOADED,
        S.NONE,
    ),
    case(
        "upstream key",
        401,
        {
            "error": {
                "message": "Provider returned error",
                "code": 401,
                "metadata": {"raw": '{"error": {"message": "Invalid API key"}}', "provider_name": "Acme"},
            }
        },
        R.SERVER_ERROR,
        S.NONE,
    ),
    case(
        "litellm upstream key",
        401,
        error("litellm.AuthenticationError: AcmeException - Invalid API Key", None, "401"),
        R.SERVER_ERROR,
        S.NONE,
    ),
    case(
        "one-api upstream",
        401,
        {
            "error": {
                "message": "bad response status code 401",
                "type": "upstream_error",
                "code": "bad_response_status_code",
            }
        },
        R.SERVER_ERROR,
        S.NONE,
    ),
    case(
        "event in a stream",
        None,
        {"message": "The server had an error", "type": "server_error", "code": None},
        R.SERVER_ERROR,
        S.NONE,
    ),
    case(
        "event in a stream, overloaded",
        None,
        'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}',
        R.OVERLOADED,
        S.NONE,
    ),
    case(
        "error in a 200",
        200,
        {"error": {"code": 502, "message": "Upstream idle", "metadata": {}}},
        R.SERVER_ERROR,
        S.NONE,
    ),
    case("error in a 200, limit", 200, {"error": {"code": 429, "message": "Too many requests"}}, _SOME, S.KEY),
    case(
        "page with 200", 200, "<!DOCTYPE html><html><body>Sign in to the network</body></html>", R.SERVER_ERROR, S.NONE
    ),
    case("broken json", 500, b'{"error": {"message": "Internal', R.SERVER_ERROR, S.NONE),
]

FINE = [
    case(
        "chat",
        200,
        {"id": "x", "choices": [{"message": {"content": "an error: rate limit"}}], "error": None},
        R.OK,
        S.NONE,
    ),
    case("bytes", 200, b'{"choices": [], "usage": {}}', R.OK, S.NONE),
    case("no body", 200, None, R.OK, S.NONE),
    case("plain text", 200, "words about quota exceeded and 429", R.OK, S.NONE),
    case("created", 201, {"id": "file-1"}, R.OK, S.NONE),
    case("minimax", 200, {"base_resp": {"status_code": 0, "status_msg": ""}, "choices": []}, R.OK, S.NONE),
    case("response", 200, {"object": "response", "status": "completed", "error": None}, R.OK, S.NONE),
]

ALL = [*RATE_LIMITS, *MONEY, *KEYS, *PERMISSIONS, *FAULTS, *TROUBLE, *FINE]
