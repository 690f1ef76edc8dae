"""The OpenAPI 3.1 document of the HTTP server; a test holds it against what the server does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stable_openai.service.config import MOST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stable_openai.service.options import SessionOptions

__all__ = ["document_of"]

Schema = dict[str, Any]

_ERRORS: Final = {
    "InvalidArgument": "Something is missing or wrong; the detail names it.",
    "Unauthenticated": "One of the server's tokens is needed.",
    "ForeignOrigin": "A page of another site asks a server that wants no token.",
    "SessionNotFound": "There is no such session, or not any more.",
    "BodyTimeout": "The body did not come in time.",
    "BodyTooLarge": "The body is larger than the server takes.",
    "TooManySessions": "The server has as many sessions as it takes.",
    "CooldownException": "The last request to the same key is not long enough ago.",
    "TooManyRequests": "The limits of the token, or of the server, are used up.",
    "ChatGPTError": "The provider was asked, and failed.",
    "NotFound": "There is nothing at this address.",
    "MethodNotAllowed": "The address has no such method.",
    "ServiceError": "A fault of the server itself.",
}
_STATUS: Final = {
    "400": ("InvalidArgument",),
    "401": ("Unauthenticated",),
    "403": ("ForeignOrigin",),
    "404": ("SessionNotFound",),
    "408": ("BodyTimeout",),
    "413": ("BodyTooLarge",),
    "429": ("CooldownException", "TooManySessions", "TooManyRequests"),
    "503": ("ChatGPTError",),
}
_VISIBLE: Final = "^[!-~]*$"  # what a key is made of: ASCII that one sees
_MADE: Final = ("400", "408", "413", "429", "503")
_SAID: Final = ("400", "404", "408", "413", "429", "503")


def document_of(options: SessionOptions, *, wants_token: bool) -> dict[str, Any]:
    """Make the document.

    Args:
        options: The server's bounds.
        wants_token: Whether callers have to show a token.
    """
    gate = "401" if wants_token else "403"
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "stable_openai chat service",
            "version": "1",
            "description": "Chat sessions with a model. The gRPC server has the same operations and the same errors.",
        },
        "paths": {
            "/renew": {"post": _renew(gate)},
            "/ask": {"post": _ask(gate)},
            "/v1/sessions": {"post": _make(gate)},
            "/v1/sessions/{session_id}": {"parameters": [_ID], "get": _look(gate), "delete": _delete(gate)},
            "/v1/sessions/{session_id}/messages": {"parameters": [_ID], "post": _say(gate)},
            "/openapi.json": {"get": _open("This document.", "describe", "application/json", {"type": "object"}, gate)},
            "/healthz": {"get": _open("Whether the server is there.", "health", "text/plain", {"const": "ok"}, gate)},
        },
        "components": {"schemas": _schemas(options), "responses": _responses()},
    }
    if wants_token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        for path in ("/openapi.json", "/healthz"):
            document["paths"][path]["get"]["security"] = []
    return document


# -- operations

_ID: Final = {"name": "session_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
_TEXT: Final = {"schema": {"type": "string"}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _operation(name: str, summary: str, body: str | None, answers: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"operationId": name, "summary": summary, "responses": dict(answers)}
    if body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body)}}}
    return made


def _answer(description: str, **content: Any) -> dict[str, Any]:
    kinds = {"json": "application/json", "text": "text/plain", "events": "text/event-stream"}
    return {"description": description, "content": {kinds[name]: media for name, media in content.items()}}


def _refused(statuses: tuple[str, ...], gate: str, *, plain: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status in sorted({*statuses, gate, "429"}):
        names = _STATUS[status]
        if len(names) == 1 and not plain:
            found[status] = {"$ref": f"#/components/responses/{names[0]}"}
        else:
            description = " Or: ".join(_ERRORS[name] for name in names)
            content = {"text/plain": _TEXT} if plain else {"application/problem+json": {"schema": _ref("Problem")}}
            found[status] = {"description": description, "content": content}
    return found


def _renew(gate: str) -> dict[str, Any]:
    done = {"200": {"description": "Done.", "content": {"text/plain": {"schema": {"const": "ok"}}}}}
    told = "Make a session that is the caller's own on /ask, in the place of the one before."
    return _operation("renew", told, "Renewal", {**done, **_refused(("400", "408", "413"), gate, plain=True)})


def _ask(gate: str) -> dict[str, Any]:
    done = {"200": _answer("The answer.", text=_TEXT)}
    told = "Say something in the session of /renew."
    return _operation("ask", told, "Prompt", {**done, **_refused(_SAID, gate, plain=True)})


def _make(gate: str) -> dict[str, Any]:
    where = {"Location": {"description": "The session's address.", "schema": {"type": "string"}}}
    done = {"201": {**_answer("It is made.", json={"schema": _ref("NewSession")}), "headers": where}}
    told = "Make a session, and say something in it. With session_id in its config, give one its key again."
    return _operation("newSession", told, "SessionRequest", {**done, **_refused((*_MADE, "404"), gate)})


def _look(gate: str) -> dict[str, Any]:
    done = {"200": _answer("The session.", json={"schema": _ref("Session")})}
    return _operation("lookAtSession", "Look at a session.", None, {**done, **_refused(("404",), gate)})


def _delete(gate: str) -> dict[str, Any]:
    done = {"200": _answer("It is gone.", json={"schema": _ref("DeletedSession")})}
    return _operation("deleteSession", "End a session.", None, {**done, **_refused(("404",), gate)})


def _say(gate: str) -> dict[str, Any]:
    events = {
        "schema": _ref("Event"),  # of each event, as readers of OpenAPI before 3.2 take it
        "example": 'event: piece\ndata: {"text": "Hel"}\n\nevent: done\ndata: {"response": "Hello"}\n\n',
    }
    told = (
        "Say something. With stream, the answer comes as events: piece, piece, … and then done, or error with a "
        "problem: nothing is remembered then."
    )
    done = {"200": _answer("The answer.", json={"schema": _ref("Answer")}, events=events)}
    return _operation("say", told, "MessageRequest", {**done, **_refused(_SAID, gate)})


def _open(told: str, name: str, kind: str, schema: Schema, gate: str) -> dict[str, Any]:
    done = {"200": {"description": told, "content": {kind: {"schema": schema}}}}
    return _operation(name, told, None, {**done, **_refused((), "429" if gate == "401" else gate)})


# -- components


def _responses() -> dict[str, Any]:
    again = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}
    content = {"application/problem+json": {"schema": _ref("Problem")}}
    return {name: {"description": told, "headers": again, "content": content} for name, told in _ERRORS.items()}


def _object(required: tuple[str, ...], **properties: Schema) -> Schema:
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": list(required)} if required else made


def _text(most: int | None = None, least: int = 0) -> Schema:
    bounds = {"minLength": least, "maxLength": most}
    return {"type": "string", **{name: bound for name, bound in bounds.items() if bound}}


def _optional(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _schemas(options: SessionOptions) -> dict[str, Schema]:
    prompt = _text(options.max_prompt, 1)
    instant = {"type": "string", "format": "date-time"}
    message = {"type": "object", "properties": {"role": {"type": "string"}, "content": {}}, "required": ["role"]}
    pool = {"type": ["boolean", "string", "null"], "maxLength": MOST["pool"]}
    config = {
        "api_key": {**_optional(_text(MOST["api_key"])), "pattern": _VISIBLE},
        "access_token": {**_optional(_text(MOST["access_token"])), "pattern": _VISIBLE},
        "pool": {**pool, "description": "true for the server's keys, or the name of one of its pools"},
        "model": _optional(_text(MOST["model"])),
        "system_prompt": _optional(_text(options.max_prompt)),
        "base_url": {
            **_optional(_text(MOST["base_url"])),
            "pattern": "^(https?://.*)?$",
            "description": "a provider that this server allows, with a key of one's own",
        },
        "session_id": {**_optional(_text(MOST["session_id"])), "description": "to give a session its key again"},
    }
    version: Schema = {"type": "integer", "minimum": 1}
    given: Schema = {"type": "string", "minLength": 1}
    keys = [
        {"required": [name], "properties": {name: schema}}
        for name, schema in (("api_key", given), ("access_token", given), ("pool", {"type": ["boolean", "string"]}))
    ]
    return {
        "Config": {**_object(("version",), version=version, **config), "anyOf": keys},
        "Renewal": {**_object((), version=_optional(version), **config), "anyOf": keys},
        "Prompt": _object(("prompt",), prompt=prompt),
        "SessionRequest": _object(("config",), config=_ref("Config"), initial_prompt=_text(options.max_prompt)),
        "MessageRequest": _object(("prompt",), prompt=prompt, stream={"type": "boolean"}),
        "NewSession": _object(("session_id", "initial_response"), session_id=_text(), initial_response=_text()),
        "DeletedSession": _object(("session_id",), session_id=_text()),
        "Answer": _object(("response",), response=_text()),
        "Event": _object(
            ("event", "data"),
            event={"enum": ["piece", "done", "error"]},
            data={"type": "string", "description": "JSON"},
        ),
        "Session": _object(
            ("session_id", "model", "pool", "needs_key", "created_at", "used_at", "expires_at", "messages"),
            session_id=_text(),
            model=_text(),
            pool={"type": ["boolean", "string"]},
            needs_key={"type": "boolean"},
            created_at=instant,
            used_at=instant,
            expires_at=instant,
            messages={"type": "array", "items": message},
        ),
        "Problem": _object(
            ("type", "title", "status", "detail", "code"),
            type=_text(),
            title=_text(),
            status={"type": "integer"},
            detail=_text(),
            code=_text(),
        ),
    }
