"""Exceptions of libraries that are not installed here, rebuilt by their module, class names and attributes."""

from __future__ import annotations

import http
import io
import json
import urllib.error

import pytest

from stable_openai.verdict import Reason, Scope, judge


def make(path, *bases, **attributes):
    """A class `module.Name` with class attributes; `bases` default to Exception."""
    module, _, name = path.rpartition(".")
    return type(name, bases or (Exception,), {"__module__": module, **attributes})


def raised(cls, *args, **attributes):
    """An instance with instance attributes, as the libraries set them."""
    exc = cls(*args)
    for name, value in attributes.items():
        setattr(exc, name, value)
    return exc


class FakeResponse:
    """A response of the requests and httpx kind whose body has been read."""

    def __init__(self, status, body, headers=None):
        self.status_code = status
        self.headers = headers or {}
        self._content = json.dumps(body).encode() if not isinstance(body, bytes) else body

    @property
    def content(self):
        raise AssertionError("a property may consume the stream")

    text = content

    def json(self):
        raise AssertionError("nobody asked for parsing")


LIMIT = {
    "error": {"message": "On requests per min: Limit: 3 / min. Try again in 20s.", "type": "requests", "code": None}
}

Old = make("openai.error.OpenAIError")
OLD = {
    name: make(f"openai.error.{name}", Old)
    for name in (
        "RateLimitError",
        "AuthenticationError",
        "InvalidRequestError",
        "ServiceUnavailableError",
        "Timeout",
        "APIConnectionError",
        "APIError",
        "TryAgain",
        "PermissionError",
    )
}


@pytest.mark.parametrize(
    ("name", "attributes", "reason"),
    [
        ("RateLimitError", {"http_status": 429, "json_body": LIMIT, "headers": {}}, "rate_limited_requests_minute"),
        ("RateLimitError", {"http_status": None, "json_body": None, "headers": {}}, "rate_limited_unspecified"),
        ("AuthenticationError", {"http_status": 401, "json_body": {"error": {"message": "no"}}, "headers": {}}, "invalid_key"),
        ("InvalidRequestError", {"http_status": 404, "json_body": {"error": {"message": "The model `x-1` does not exist"}}, "headers": {}}, "model_unavailable_for_key"),
        ("InvalidRequestError", {"http_status": None, "json_body": None, "headers": {}}, "bad_request"),
        ("ServiceUnavailableError", {"http_status": 503, "http_body": "overloaded", "headers": {}}, "overloaded"),
        ("Timeout", {"http_status": None, "headers": {}}, "timeout"),
        ("APIConnectionError", {"http_status": None, "headers": {}}, "connection_lost"),
        ("APIError", {"http_status": 502, "http_body": "<html>502</html>", "headers": {}}, "server_error"),
        ("APIError", {"http_status": None, "json_body": None, "headers": {}}, "server_error"),
    ],
)  # fmt: skip
def test_openai_028(name, attributes, reason):
    """openai 0.28 keeps status and bodies on the exception, and often no status at all."""
    assert judge(raised(OLD[name], "words", **attributes)).reason.value == reason


New = make("openai.APIError")
Status = make("openai.APIStatusError", New)


def test_openai_status_error_reads_the_response():
    """The whole body of the response is read, not only the inner part that the exception keeps."""
    response = FakeResponse(429, LIMIT, {"retry-after": "20"})
    exc = raised(
        make("openai.RateLimitError", Status), "m", response=response, status_code=429, body=LIMIT["error"], message="m"
    )
    verdict = judge(exc)
    assert (verdict.reason, verdict.wait_s) == (Reason.RATE_LIMITED_REQUESTS_MINUTE, 20.0)


def test_openai_status_error_without_a_body():
    """A pickled or built exception without a body is judged by its status and message."""
    response = FakeResponse(401, b"")
    exc = raised(
        make("openai.AuthenticationError", Status), "no", response=response, status_code=401, body=None, message="no"
    )
    assert judge(exc).reason is Reason.INVALID_KEY


def test_openai_error_event_in_a_stream():
    """An APIError without a status carries the event of a 200 stream."""
    event = {"message": "The server had an error", "type": "server_error", "code": None}
    assert judge(raised(New, "words", body=event, message="words")).reason is Reason.SERVER_ERROR
    event = {"message": "Too many requests", "type": "too_many_requests", "code": 429}
    assert judge(raised(New, "words", body=event, message="words")).reason is Reason.RATE_LIMITED_UNSPECIFIED
    assert judge(raised(New, "words", body=None, message="context_length exceeded")).reason is Reason.CONTEXT_LENGTH


@pytest.mark.parametrize(
    ("name", "bases", "reason"),
    [
        ("APITimeoutError", ("APIConnectionError", "APIError"), "timeout"),
        ("APIConnectionError", ("APIError",), "connection_lost"),
        ("ContentFilterFinishReasonError", ("OpenAIError",), "content_filter"),
        ("LengthFinishReasonError", ("OpenAIError",), "bad_request"),
        ("OpenAIError", (), "not_provider"),
        ("WebSocketConnectionClosedError", ("OpenAIError",), "connection_lost"),
    ],
)
def test_openai_errors_without_an_answer(name, bases, reason):
    """The class says what an error without an answer is; a missing key is the user's own mistake."""
    base = Exception
    for ancestor in reversed(bases):
        base = make(f"openai.{ancestor}", base)
    assert judge(make(f"openai.{name}", base)("words")).reason.value == reason


def test_openai_validation_of_a_success():
    """A 200 that is not what was promised is the server's error; an error inside it is read."""
    cls = make("openai.APIResponseValidationError", New)
    assert judge(raised(cls, "x", response=FakeResponse(200, {"a": 1}), status_code=200)).reason is Reason.SERVER_ERROR
    inner = FakeResponse(200, {"error": {"message": "余额不足"}})
    assert judge(raised(cls, "x", response=inner, status_code=200)).reason is Reason.QUOTA_EXHAUSTED


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("requests.exceptions.ConnectTimeout", "timeout"),
        ("requests.exceptions.ReadTimeout", "timeout"),
        ("requests.exceptions.ConnectionError", "connection_lost"),
        ("requests.exceptions.ChunkedEncodingError", "connection_lost"),
        ("requests.exceptions.SSLError", "connection_lost"),
        ("requests.exceptions.ContentDecodingError", "server_error"),
        ("requests.exceptions.TooManyRedirects", "not_found"),
        ("requests.exceptions.MissingSchema", "bad_request"),
        ("httpx.PoolTimeout", "timeout"),
        ("httpx.ReadError", "connection_lost"),
        ("httpx.RemoteProtocolError", "connection_lost"),
        ("httpx.ProxyError", "connection_lost"),
        ("httpx.DecodingError", "server_error"),
        ("httpx.ResponseNotRead", "not_provider"),
        ("httpx.UnsupportedProtocol", "bad_request"),
        ("httpx2.RemoteProtocolError", "connection_lost"),
        ("httpx2.ReadTimeout", "timeout"),
        ("httpcore.ConnectError", "connection_lost"),
        ("h11.RemoteProtocolError", "connection_lost"),
        ("aiohttp.client_exceptions.ServerDisconnectedError", "connection_lost"),
        ("aiohttp.client_exceptions.ClientPayloadError", "connection_lost"),
        ("aiohttp.client_exceptions.ClientConnectorCertificateError", "connection_lost"),
        ("aiohttp.client_exceptions.ServerTimeoutError", "timeout"),
        ("urllib3.exceptions.ReadTimeoutError", "timeout"),
        ("urllib3.exceptions.NewConnectionError", "connection_lost"),
        ("urllib3.exceptions.MaxRetryError", "connection_lost"),
        ("urllib3.exceptions.ProtocolError", "connection_lost"),
        ("botocore.exceptions.EndpointConnectionError", "connection_lost"),
        ("botocore.exceptions.ReadTimeoutError", "timeout"),
    ],
)
def test_network_errors_by_name(path, reason):
    """HTTP libraries are known by their modules, and their errors by the names of the classes."""
    assert judge(make(path)("words")).reason.value == reason


def test_requests_that_retried_by_itself():
    """urllib3's own retries end in a text that keeps the status."""
    exc = make("requests.exceptions.RetryError")(
        "Max retries exceeded (Caused by ResponseError('too many 429 error responses'))"
    )
    assert judge(exc).reason is Reason.RATE_LIMITED_UNSPECIFIED


def test_status_errors_of_other_libraries():
    """A numeric status with headers, or of a known library, is an answer."""
    http_error = make("requests.exceptions.HTTPError")
    assert judge(raised(http_error, "x", response=FakeResponse(402, {}))).reason is Reason.QUOTA_EXHAUSTED
    client = make("aiohttp.client_exceptions.ClientResponseError")
    assert judge(raised(client, "x", status=429, headers={"Retry-After": "4"}, message="no")).wait_s == 4.0
    wrong_type = make("aiohttp.client_exceptions.ContentTypeError", client)
    assert judge(raised(wrong_type, "x", status=200, headers={}, message="no")).reason is Reason.SERVER_ERROR
    google = make("google.api_core.exceptions.ResourceExhausted")
    assert judge(raised(google, "x", code=http.HTTPStatus.TOO_MANY_REQUESTS, message="Quota")).is_rate_limit
    mistral = make("mistralai.models.SDKError")
    assert judge(raised(mistral, "x", status_code=422, body='{"detail": []}')).reason is Reason.BAD_REQUEST
    own = raised(make("crawler.Refused"), "x", status_code=429, headers={"retry-after": "9"})
    assert judge(own).wait_s == 9.0


def test_botocore():
    """botocore keeps the answer as a mapping."""
    response = {
        "Error": {"Code": "ThrottlingException", "Message": "Too many requests"},
        "ResponseMetadata": {"HTTPStatusCode": 429, "HTTPHeaders": {"retry-after": "2"}},
    }
    verdict = judge(raised(make("botocore.exceptions.ClientError"), "x", response=response))
    assert (verdict.reason, verdict.wait_s, verdict.code) == (
        Reason.RATE_LIMITED_UNSPECIFIED,
        2.0,
        "ThrottlingException",
    )


def test_litellm_as_a_library_and_as_a_gateway():
    """The library itself names the provider in front: the key is the caller's. From a gateway it is the gateway's."""
    cls = make("litellm.exceptions.AuthenticationError", Status)
    text = "litellm.AuthenticationError: AuthenticationError: AcmeException - Incorrect API key provided: sk-abc."
    exc = raised(cls, text, status_code=401, message=text, response=FakeResponse(401, b""))
    assert judge(exc).reason is Reason.INVALID_KEY
    body = {"error": {"message": text, "code": "401"}}
    exc = raised(make("openai.AuthenticationError", Status), "x", response=FakeResponse(401, body), status_code=401)
    assert judge(exc).reason is Reason.SERVER_ERROR


def test_urllib_body_in_memory():
    """An HTTPError whose body is in memory is read without consuming it; one on a socket is left alone."""
    handle = io.BytesIO(json.dumps(LIMIT).encode())
    with urllib.error.HTTPError("http://x", 429, "no", {"Retry-After": "3"}, handle) as exc:
        assert judge(exc).reason is Reason.RATE_LIMITED_REQUESTS_MINUTE
        assert handle.tell() == 0


def test_a_key_that_cannot_be_sent():
    """A key with a line break, or none at all, never leaves: it is the key that is wrong."""
    local = make("httpx.LocalProtocolError")
    exc = make("openai.APIConnectionError", New)("Connection error.")
    exc.__cause__ = local("Illegal header value b'Bearer sk-abcdefgh12345678\\n'")
    verdict = judge(exc)
    assert (verdict.reason, verdict.scope, verdict.retry_elsewhere) == (Reason.INVALID_KEY, Scope.KEY, True)
    exc.__cause__ = local("Illegal header value b'x\\n'")
    assert judge(exc).reason is Reason.BAD_REQUEST
    exc.__cause__ = make("httpx.UnsupportedProtocol")("no scheme")
    assert judge(exc).reason is Reason.BAD_REQUEST
    assert judge(local("Can't send data in this state")).reason is Reason.CONNECTION_LOST


def test_chains():
    """A wrapper that is not known is looked through along its causes; its context is nobody's statement."""
    inner = raised(make("openai.RateLimitError", Status), "x", response=FakeResponse(429, LIMIT), status_code=429)
    retry = make("instructor.core.InstructorRetryException")("x")
    retry.__cause__ = make("tenacity.RetryError")("x")
    retry.__cause__.__cause__ = inner
    assert judge(retry).reason is Reason.RATE_LIMITED_REQUESTS_MINUTE
    handled = RuntimeError("x")
    handled.__context__ = inner
    assert judge(handled).reason is Reason.NOT_PROVIDER
    loop = RuntimeError("x")
    loop.__cause__ = loop
    assert judge(loop).reason is Reason.NOT_PROVIDER


def test_our_own_errors_are_not_judged_again():
    """An inner pool's failure has the provider's error as its cause, but it is not this pool's."""
    ours = make("stable_openai.errors.NoKeyAvailable")("x")
    ours.__cause__ = raised(
        make("openai.RateLimitError", Status), "x", response=FakeResponse(429, LIMIT), status_code=429
    )
    assert judge(ours).reason is Reason.NOT_PROVIDER


def test_groups_of_one():
    """A task group that wraps a single error is that error; one with several is nobody's."""
    group = make("crawler.Group")
    lost = ConnectionResetError()
    assert judge(raised(group, "x", exceptions=(lost,))).reason is Reason.CONNECTION_LOST
    assert judge(raised(group, "x", exceptions=(lost, ValueError()))).reason is Reason.NOT_PROVIDER
