"""The admin API: projects and their rate limits, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stable_openai.simulator.bodies import EPOCH, MODELS
from stable_openai.simulator.refusals import Facts, refuse
from stable_openai.simulator.settings import LIMIT_FIELDS, Account

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stable_openai.simulator.messages import JSON
    from stable_openai.simulator.provider import Provider

UNLIMITED = 2_147_483_647
"""What stands in a field that must be there where there is no such limit."""

BATCH_FACTOR = 10
"""Batches have a limit of their own, which says nothing of other requests."""

MAX_PAGE = 1000


def answer_admin(provider: Provider, path: str, secret: str, query: Mapping[str, str]) -> tuple[int, JSON]:
    """Answer a GET below `organization/`.

    Args:
        provider: Whose keys and owners are shown.
        path: Path below the version, such as `organization/projects/proj_lab/rate_limits`.
        secret: The credential sent.
        query: `after`, `before` and `limit`.
    """
    if provider.settings.admin_key is None or secret != provider.settings.admin_key:
        return refuse("openai", "not_admin", Facts())
    projects = projects_of(provider)
    match path.split("/")[1:]:
        case ["projects"]:
            rows: list[JSON] = [project_row(name) for name in projects]
        case ["projects", name] if name in projects:
            return 200, project_row(name)
        case ["projects", name, "rate_limits"] if name in projects:
            rows = rate_limit_rows(projects[name], provider.settings.models or MODELS)
        case ["projects", name, *_]:
            return refuse("openai", "no_project", Facts(message=name))
        case _:
            return refuse("openai", "unknown_url", Facts(message=f"GET /v1/{path}"))
    return paged(rows, query)


def projects_of(provider: Provider) -> dict[str, Account]:
    """Give the projects by id: one for each owner, and one for each key that has none."""
    accounts: list[tuple[str, Account]] = [(owner.name, owner) for owner in provider.owners]
    accounts += [(key.name or "", key) for key in provider.keys if key.owner is None]
    return {f"proj_{name.removeprefix('org-')}": account for name, account in accounts}


def project_row(project: str) -> JSON:
    """Describe a project."""
    name = project.removeprefix("proj_")
    return {"id": project, "object": "organization.project", "name": name, "created_at": EPOCH, "status": "active"}


def rate_limit_rows(account: Account, models: Sequence[str]) -> list[JSON]:
    """Describe the limits by model: a model's own, else those that the account has for all."""
    rows = []
    for model in dict.fromkeys((*models, *account.model_limits)):
        own = account.limits_of(model)
        limits = {name: getattr(own, name, None) or getattr(account, name) for name in LIMIT_FIELDS}
        if not any(limits.values()):
            continue
        row: dict[str, JSON] = {
            "object": "project.rate_limit",
            "id": f"rl-{model}",
            "model": model,
            "max_requests_per_1_minute": limits["rpm"] or UNLIMITED,
            "max_tokens_per_1_minute": limits["tpm"] or UNLIMITED,
        }
        if limits["rpd"]:
            row["max_requests_per_1_day"] = limits["rpd"]
        if limits["tpm"]:
            row["batch_1_day_max_input_tokens"] = limits["tpm"] * BATCH_FACTOR
        rows.append(row)
    return rows


def paged(rows: list[JSON], query: Mapping[str, str]) -> tuple[int, JSON]:
    """Cut the page out that `after` or `before`, and `limit`, ask for."""
    try:
        limit = int(query.get("limit", "100"))
    except ValueError:
        limit = 0
    if not 1 <= limit <= MAX_PAGE:
        return refuse("openai", "bad_request", Facts(message=f"'limit' must be from 1 to {MAX_PAGE}.", param="limit"))
    ids = [row["id"] for row in rows]
    for name in ("after", "before"):
        if query.get(name) is not None and query[name] not in ids:
            return refuse("openai", "bad_request", Facts(message=f"'{name}' is no id of this list.", param=name))
    if "before" in query:
        kept = rows[: ids.index(query["before"])]
        page, more = kept[-limit:], len(kept) > limit
    else:
        kept = rows[ids.index(query["after"]) + 1 :] if "after" in query else rows
        page, more = kept[:limit], len(kept) > limit
    ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
    return 200, {"object": "list", "data": page, **ends, "has_more": more}
