"""What a provider answers: accounts first, then limits, then chance. It keeps no record; `Provider` does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stable_openai.simulator import bodies, faults, lanes, limit_headers, streams
from stable_openai.simulator.messages import ANSWERING, Fate
from stable_openai.simulator.refusals import Facts, mask, refuse

if TYPE_CHECKING:
    from stable_openai.simulator.accounts import KeyEntry
    from stable_openai.simulator.messages import JSON, Reply, Request
    from stable_openai.simulator.settings import Settings


@dataclass(slots=True)
class Case:
    """One request, the entry of its key (None if nobody knows the key), the moment, and the reply as it grows."""

    request: Request
    entry: KeyEntry | None
    now: float
    reply: Reply
    lanes: tuple[lanes.Lane, ...] = ()


class Engine:
    """Fills replies in."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.dice = faults.Dice(settings)
        self.outage: faults.Outage | None = None
        self._scripted = 0

    def tune(self, settings: Settings) -> None:
        """Take other settings from now on."""
        self.settings = settings
        self.dice.tune(settings)

    def decide(self, case: Case) -> bool:
        """Fill the reply in; tell whether limits and accounts let the request in."""
        accepted = self._decide(case)
        self._sign(case)
        return accepted

    def _decide(self, case: Case) -> bool:
        if self.outage is not None:
            self._suffer(case, self.outage)
            return False
        trouble = self._account_trouble(case) or self._request_trouble(case)
        entry = case.entry
        if trouble is not None or entry is None:
            self.refuse(case, trouble or "dead")
            return False
        if case.request.path not in ANSWERING:
            self._list_models(case, entry)
            return False
        case.lanes = entry.all_lanes(case.request.model)
        answer = self._admit(case, entry)
        if answer is None:
            return False
        lanes.take(case.lanes, case.reply.tokens, case.now)
        entry.pay_for(case.reply.tokens)
        case.reply.headers.update(limit_headers.limit_headers(case.lanes, self.settings, case.now))
        latency = self.settings.latency_s if entry.told.latency_s is None else entry.told.latency_s
        case.reply.latency_s = self.dice.latency(latency)
        self._serve(case, answer)
        return True

    # -- who and what

    @staticmethod
    def _account_trouble(case: Case) -> str | None:
        if not case.request.key_secret:
            return "no_key"
        if case.entry is None:
            return "dead"
        state = case.entry.full_state()
        return None if state == "ok" else state

    def _request_trouble(self, case: Case) -> str | None:
        request = case.request
        if request.malformed is not None:
            return "bad_request"
        if request.path not in ANSWERING:
            return None
        own = None if case.entry is None else case.entry.told.models
        for allowed in (self.settings.models, own):
            if allowed is not None and request.model not in allowed:
                return "model"
        limit = self.settings.context_length
        return "context" if limit is not None and bodies.prompt_tokens(request) > limit else None

    def _list_models(self, case: Case, entry: KeyEntry) -> None:
        names = entry.told.models or self.settings.models or bodies.MODELS
        name = case.request.path.removeprefix("models").lstrip("/")
        if name and name not in names:
            case.request = replace(case.request, model=name)
            self.refuse(case, "model")
        elif name:
            case.reply.body = bodies.model_body(name)
        else:
            case.reply.body = {"object": "list", "data": [bodies.model_body(each) for each in names]}

    # -- limits

    def _admit(self, case: Case, entry: KeyEntry) -> bodies.Answer | None:
        """See whether the limits have room; give the answer if so, else refuse."""
        request, reply = case.request, case.reply
        if callable(self.settings.script):
            # A script is asked only for what has room but for its answer, so that it is not asked in vain.
            reply.tokens = request.tokens or bodies.prompt_tokens(request)
            if self._short(case, entry):
                return None
        answer = bodies.make_answer(request, self._text(request), self.dice.hex(28), case.now)
        reply.tokens = self._cost(request, answer)
        if self._short(case, entry):
            return None
        self._scripted += 1
        return answer

    def _text(self, request: Request) -> str:
        script = self.settings.script
        if script is None or request.path == "embeddings":
            return bodies.echo(request)
        return script(request) if callable(script) else script[self._scripted % len(script)]

    def _cost(self, request: Request, answer: bodies.Answer) -> int:
        if request.tokens is not None:
            return request.tokens
        if self.settings.count_max_tokens and request.max_tokens is not None:
            return answer.prompt_tokens + request.n * request.max_tokens
        return answer.total_tokens

    def _short(self, case: Case, entry: KeyEntry) -> bool:
        """Refuse where a limit has no room, and tell whether it was so."""
        tokens, now, settings = case.reply.tokens, case.now, self.settings
        shortage = lanes.find_shortage(case.lanes, tokens, now)
        if shortage is None:
            return False
        if settings.count_rejected:
            lanes.take_rejected(case.lanes, now)  # which may move the moment at which there is room
            shortage = lanes.find_shortage(case.lanes, tokens, now) or shortage
        private = shortage.lane.kind == "key" and entry.owner is not None
        facts = Facts(
            organisation="" if private else entry.organisation,
            shortage=shortage,
            told_wait_s=limit_headers.told_wait(shortage, settings),
            scaled=settings.minute != 60.0,
        )
        reply = case.reply
        reply.outcome = "too_large" if shortage.too_large else shortage.reason
        reply.retry_after_s = shortage.wait_s if limit_headers.wait_is_known(shortage) else None
        reply.status, reply.body = refuse(settings.style, "limit", facts)
        reply.headers.update(limit_headers.limit_headers(case.lanes, settings, now))
        reply.headers.update(limit_headers.retry_headers(shortage, settings))
        return True

    # -- answers, and what chance makes of them

    def _serve(self, case: Case, answer: bodies.Answer) -> None:
        request, reply = case.request, case.reply
        poison = self.settings.poison
        fault = "poison" if poison is not None and poison in request.prompt else self.dice.fault(stream=request.stream)
        if fault in ("poison", "server_error", "overloaded"):
            self.refuse(case, "overloaded" if fault == "overloaded" else "server_error")
        elif fault == "reset":
            reply.fate = Fate.RESET
        elif fault == "hang":
            reply.fate, reply.latency_s = Fate.HANG, math.inf
        elif fault == "garbage":
            reply.body = faults.HTML_PAGE
        elif request.stream and request.path != "embeddings":
            self._stream(case, answer, fault)
        else:
            reply.body = self._body(request, answer)
        if fault is not None:
            reply.outcome = fault

    def _body(self, request: Request, answer: bodies.Answer) -> JSON:
        if request.path == "embeddings":
            return bodies.embeddings_body(request, answer, request.dimensions or self.settings.embedding_dimensions)
        return bodies.MAKERS[request.path](request, answer)

    def _stream(self, case: Case, answer: bodies.Answer, fault: str | None) -> None:
        request, reply = case.request, case.reply
        events = tuple(streams.make_events(request, answer))
        if fault == "cut_stream":
            events, reply.fate = streams.first_half(events), Fate.CUT
        elif fault == "stream_error":
            error = refuse("openai", "server_error", Facts(request_id=reply.request_id))[1]["error"]
            events = streams.with_error(events, request.path, error)
        reply.events, reply.gap_s = events, self.settings.stream_gap_s

    # -- refusals

    def _suffer(self, case: Case, outage: faults.Outage) -> None:
        reply = case.reply
        if outage.trouble is not None:
            self.refuse(case, outage.trouble)
        else:
            reply.status, reply.fate, reply.body = outage.status, outage.fate, faults.HTML_502
            reply.latency_s = math.inf if outage.fate is Fate.HANG else 0.0
        reply.outcome = "outage"

    def refuse(self, case: Case, kind: str) -> None:
        """Fill in the error that `kind` names."""
        request, reply = case.request, case.reply
        malformed = request.malformed if kind == "bad_request" else None
        facts = Facts(
            model=request.model,
            masked=mask(request.key_secret),
            request_id=reply.request_id,
            message="" if malformed is None else malformed.message,
            param=None if malformed is None else malformed.param,
            code=None if malformed is None else malformed.code,
            limit=self.settings.context_length or 0,
            used=bodies.prompt_tokens(request) if kind == "context" else 0,
        )
        reply.outcome = kind
        reply.status, reply.body = refuse(self.settings.style, kind, facts)

    def _sign(self, case: Case) -> None:
        """Put the headers on that all replies have."""
        reply, headers = case.reply, case.reply.headers
        if reply.events is not None:
            headers["content-type"] = "text/event-stream; charset=utf-8"
        elif isinstance(reply.body, str):
            headers["content-type"] = "text/html; charset=utf-8"
        else:
            headers["content-type"] = "application/json"
        style = self.settings.style
        headers["apim-request-id" if style == "azure" else "x-request-id"] = reply.request_id
        if style != "openai" or self.outage is not None:
            return
        if math.isfinite(reply.latency_s):
            headers["openai-processing-ms"] = str(round(reply.latency_s * 1000) + 1)
        headers["openai-version"] = "2020-10-01"
        if case.entry is not None:
            headers["openai-organization"] = case.entry.organisation
            headers["openai-project"] = case.entry.project
