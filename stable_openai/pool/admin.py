"""A project's rate limits, read from OpenAI's admin API.

https://platform.openai.com/docs/api-reference/project-rate-limits: ``GET /organization/projects`` and
``GET /organization/projects/{id}/rate_limits``, pages of rows with ``max_requests_per_1_minute`` and the like by model.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Final

from stable_openai.errors import ConfigurationError
from stable_openai.limits import Limits
from stable_openai.masking import Secret
from stable_openai.verdict import judge

__all__ = ["Project", "read_projects"]

_FIELDS: Final = (
    "max_requests_per_1_minute",
    "max_tokens_per_1_minute",
    "max_requests_per_1_day",
    "max_tokens_per_1_day",
)
_NO_LIMIT: Final = 2**31 - 1  # what stands in a field that must be there where there is no limit
_PAGE: Final = 100
_MOST_PAGES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Project:
    """One project of an organisation, with its limits by model."""

    id: str
    name: str
    limits: dict[str, Limits] = field(default_factory=dict)


def read_projects(admin_key: str, base_url: str, project: str | None, timeout: float) -> list[Project]:
    """Read the limits of one project, or of all that are active.

    Args:
        admin_key: An admin key, which is no key for answers.
        base_url: The API's base URL, ending in ``/v1``.
        project: A project's id or name; None for all.
        timeout: Seconds that one request may take.

    Raises:
        ConfigurationError: The admin key or the project is refused.
        OSError: The API can't be reached.
    """
    admin_key = Secret(admin_key)
    root = f"{base_url.rstrip('/')}/organization/projects"
    found = []
    for row in _rows(root, admin_key, timeout):
        if project not in (None, row.get("id"), row.get("name")) or row.get("status", "active") != "active":
            continue
        quoted = urllib.parse.quote(str(row["id"]), safe="")
        limits = {
            str(limit["model"]): _limits(limit) for limit in _rows(f"{root}/{quoted}/rate_limits", admin_key, timeout)
        }
        found.append(Project(str(row["id"]), str(row.get("name", "")), limits))
    if not found and project is not None:
        raise ConfigurationError("project", f"there is no active project {project!r} in this organisation")
    return found


def _limits(row: dict[str, Any]) -> Limits:
    rpm, tpm, rpd, tpd = (_limit(row.get(name)) for name in _FIELDS)
    return Limits(rpm=rpm, tpm=tpm, rpd=rpd, tpd=tpd)


def _limit(value: object) -> int | None:
    return value if isinstance(value, int) and 0 < value < _NO_LIMIT else None


def _rows(url: str, admin_key: str, timeout: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    after = None
    for _ in range(_MOST_PAGES):
        query = {"limit": _PAGE, **({} if after is None else {"after": after})}
        page = _get(f"{url}?{urllib.parse.urlencode(query)}", admin_key, timeout)
        rows += page.get("data", [])
        after = page.get("last_id")
        if not page.get("has_more") or not after:
            break
    return rows


def _get(url: str, admin_key: str, timeout: float) -> dict[str, Any]:
    if not url.startswith(("https://", "http://")):
        raise ConfigurationError("base_url", "must begin with https:// (or http:// for a simulator)")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {admin_key!s}"})  # noqa: S310  # checked above
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310  # checked above
            page: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            verdict = judge(error)
        raise ConfigurationError("admin_key", f"the admin API answers {error.code}: {verdict.message}") from None
    return page
