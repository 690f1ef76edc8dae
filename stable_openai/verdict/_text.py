"""Plain preparations of text: decoding, markup, sentences. All of it is linear and bounded."""

from __future__ import annotations

import re
from typing import Final

MAX_BODY_CHARS: Final = 131_072  # more of a body is never looked at
MAX_TEXT_CHARS: Final = 6_000  # more of its words is never searched
_TAG: Final = re.compile(r"<[^<>]{0,2000}>")
_SPACE: Final = re.compile(r"[^\S\n]+")
_URL: Final = re.compile(r"https?://([^\s\"'<>\uff0c。/?#]{1,120})[^\s\"'<>\uff0c。]{0,500}", re.IGNORECASE)
_WRAPPED: Final = re.compile(r"(?<=[\w,])[ \t]?\n[ \t]{0,8}(?=[a-z])")  # a line break within a sentence
_SENTENCE_END: Final = re.compile(r"[.!?]+(?:\s+|$)|[。\uff01\uff1f\uff1b\n]+|;\s")
# Sentences that advise speak of accounts, plans and models in general, not of what was refused.
_ADVICE: Final = re.compile(
    r"\W{0,3}(?:please (?!(?:re)?try|wait)|visit|upgrade|contact|you (?:can|may|might|could)\b|to (?!continue)\w|"
    r"see\b|"
    r"for (?:more|details|free|further|higher|help|information)|need (?:more|help)|consider|add\b|if you|manage|"
    r"check|learn|"
    r"call \W?/?\w|"
    r"alternatively|go to|read|refer|sign up|subscribe|increase|请(?!求)|如需|建议|可以|您可以|详情|参考|了解)"
)


def word_set(text: str) -> frozenset[str]:
    """The words of a text as a set: a table of names that stays readable."""
    return frozenset(text.split())


def decode(raw: bytes | bytearray | memoryview) -> str:
    """The text of a body, bounded, whatever its bytes."""
    return bytes(raw[:MAX_BODY_CHARS]).decode("utf-8", "replace")


def strip_markup(html: str) -> str:
    """The words of an HTML page without scripts and styles."""
    for element in ("script", "style"):
        html = _cut_element(html, element)
    return _SPACE.sub(" ", _TAG.sub(" ", html)).strip()


def _cut_element(html: str, element: str) -> str:
    lowered = html.lower()
    if len(lowered) != len(html):  # a letter whose lower case is longer: positions would not agree
        html = lowered
    kept, at = [], 0
    while (start := lowered.find("<" + element, at)) >= 0:
        kept.append(html[at:start])
        end = lowered.find("</" + element, start)
        if end < 0:
            return "".join(kept)
        at = end
    return "".join(kept) + html[at:]


def looks_like_html(text: str) -> bool:
    """Whether a body is a page rather than a message."""
    return (
        text[:200]
        .lstrip("\ufeff \r\n\t")
        .lower()
        .startswith(("<!doctype", "<html", "<head", "<?xml", "<center", "<h1"))
    )


def normalise(text: str) -> str:
    """Lower case, straight quotes, single spaces, of web addresses the host alone."""
    text = _URL.sub(r" \1 ", text[: MAX_TEXT_CHARS * 2])
    text = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").replace("\N{LEFT SINGLE QUOTATION MARK}", "'")
    text = text.replace("\\n", "\n").replace('\\"', '"')
    text = _WRAPPED.sub(" ", text)
    return _SPACE.sub(" ", text).lower()[:MAX_TEXT_CHARS]


def without_advice(normalised: str) -> str:
    """The sentences that tell what happened, without those that advise."""
    return "\n".join(part for part in _SENTENCE_END.split(normalised) if part.strip() and not _ADVICE.match(part))
