"""Lines as OpenAI's Batch API has them: ``{"custom_id": …, "method": "POST", "url": …, "body": {…}}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .checking import check_body
from .endpoints import URLS, completed, url_of
from .problems import BadLine, shown
from .request import Request

if TYPE_CHECKING:
    from .defaults import Defaults

__all__ = ["batch_request", "is_batch_line"]

_FIELDS: Final = ("custom_id", "method", "url", "body")


def is_batch_line(value: dict[str, Any]) -> bool:
    """Whether an object is meant as a line of a Batch file, be it a bad one, rather than as a row."""
    if isinstance(value.get("body"), dict):
        return True
    # Rows may have columns of such names too: the text of a mail, the address of a page.
    telling = "method" in value or url_of(value.get("url")) is not None
    return telling and len(value) > 1 and value.keys() <= set(_FIELDS)


def batch_request(line: int, value: dict[str, Any], defaults: Defaults) -> Request:
    """The request of a line.

    Raises:
        BadLine: It is none, or a bad one.
    """
    if not value.keys() & set(_FIELDS):
        raise BadLine(f"has none of {', '.join(_FIELDS)}, as the lines before it: a file holds Batch lines or rows")
    for name in _FIELDS:
        if name not in value:
            raise BadLine(f"{name} is missing")
    for name in value:
        if name not in _FIELDS:
            raise BadLine(f"{shown(name)} is no field of a Batch line: it has {', '.join(_FIELDS)}")
    custom_id, url, body = value["custom_id"], url_of(value["url"]), value["body"]
    if not isinstance(custom_id, str) or not custom_id:
        raise BadLine(f"custom_id must be a text that is not empty, not {shown(custom_id)}")
    if value["method"] != "POST":
        raise BadLine(f"method must be 'POST', not {shown(value['method'])}")
    if url is None:
        raise BadLine(f"url must be one of {', '.join(URLS)}, not {shown(value['url'])}")
    if not isinstance(body, dict):
        raise BadLine(f"body must be an object, not {shown(body)}")
    body = completed(url, body, defaults.model, defaults.max_tokens)
    check_body(url, body)
    return Request(line, custom_id, url, body)
