"""Which paths there are, under the prefixes that providers put before them."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from stable_openai.simulator.messages import ANSWERING

Place: TypeAlias = Literal["answer", "models", "admin", "stats", "control"]

PREFIXES = ("/v1/", "/openai/v1/", "/v1beta/openai/")
DEPLOYMENTS = "/openai/deployments/"
METHODS: dict[Place, str] = {"answer": "POST", "models": "GET", "admin": "GET", "stats": "GET", "control": "POST"}


class Route(NamedTuple):
    """Where a path leads.

    Attributes:
        place: What answers there.
        path: The path below the version.
        deployment: The model that the URL names, as Azure's do.
    """

    place: Place
    path: str
    deployment: str | None = None


OWN = {"/_simulator/stats": Route("stats", "stats"), "/_simulator/control": Route("control", "control")}
ANSWERS = {f"{prefix}{path}": Route("answer", path) for prefix in PREFIXES for path in ANSWERING}


def find_route(path: str) -> Route | None:
    """Find where a path leads, or None."""
    known = ANSWERS.get(path) or OWN.get(path)
    if known is not None:
        return known
    if path.startswith(DEPLOYMENTS):
        deployment, _, rest = path[len(DEPLOYMENTS) :].partition("/")
        return Route("answer", rest, deployment) if deployment and rest in ANSWERING else None
    for prefix in PREFIXES:
        if path.startswith(prefix):
            rest = path[len(prefix) :].rstrip("/")
            if rest == "models" or rest.startswith("models/"):
                return Route("models", rest)
            return Route("admin", rest) if rest.startswith("organization/") else None
    return None
