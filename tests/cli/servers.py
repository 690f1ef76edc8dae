"""Servers of `stable-openai serve` in processes of their own."""

from __future__ import annotations

import json
import re
import urllib.request

__all__ = ["CHAT", "ask", "said"]

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}


def said(child, pattern):
    """What a server says, up to the line that this is in."""
    for line in child.stderr:
        found = re.search(pattern, line)
        if found:
            return found
    raise AssertionError(f"it never said {pattern!r}")


def ask(url, body, **headers):
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())
