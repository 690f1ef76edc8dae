"""Measure the goodput, and write what was found as JSON: a child of ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.child import Child
from benchmarks.environments import OLD, is_there, versions

from . import variants
from .provider import Host
from .report import chosen, show

RUNNER: Final = Path(__file__).with_name("runner.py")
THREADS: Final = 16
FIRST: Final = ("oracle", "stable_openai")
NEVER_TOLD: Final = ("openai's retries", "tenacity")  # of limits; so untold ones are nothing new to them
REST: Final = ("pyrate + tenacity", "LiteLLM shuffle", "LiteLLM usage", "stable-openai 0.1.1")
QUICK_REST: Final = ("LiteLLM shuffle",)
MODULES: Final = {
    "openai's retries": "openai",
    "tenacity": "tenacity",
    "pyrate + tenacity": "pyrate_limiter",
    "LiteLLM shuffle": "litellm",
    "LiteLLM usage": "litellm",
}


def clients_of(variant: variants.Variant, *, quick: bool) -> list[str]:
    """Who crawls."""
    found = list(FIRST if (quick and not variant.everyone) or not variant.told else (*FIRST, *NEVER_TOLD))
    if variant.everyone:
        found += QUICK_REST if quick else REST
    if "by_second" in variant.settings:
        found[1:2] = ["oracle, paced", "stable_openai", "stable_openai, rpm alone", "stable_openai, pace"]
    if variant.settings.get("algorithm") == "bucket":
        found.insert(1, "oracle, refill")
    return found


def crawls(variant: variants.Variant, clients: list[str], minute: float) -> dict[str, dict[str, Any]]:
    """One crawl by each, in turn. They load all at once beforehand: it is nobody's turn then."""
    with contextlib.ExitStack() as stack:
        children = {client: stack.enter_context(_child(client, minute)) for client in clients}
        settings, keys = variant.simulator(minute), variant.keys()
        hosts = {client: stack.enter_context(Host(settings, keys)) for client in clients}
        for child in children.values():
            child.wait()
        return {client: crawl(variant, client, children[client], hosts[client], minute) for client in clients}


def _child(client: str, minute: float) -> Child:
    old = client == "stable-openai 0.1.1"
    python = OLD.python if old else sys.executable
    assert python is not None
    return Child([python, str(RUNNER)], first={"client": client, "scale": minute / 60}, ours=not old)


def crawl(variant: variants.Variant, client: str, child: Child, host: Host, minute: float) -> dict[str, Any]:
    """One crawl, with a provider of its own."""
    best, keys = variants.best_seconds(variant, minute), variant.keys()
    spec = {
        "client": client,
        "base_url": host.base_url,
        "keys": [
            {"secret": k.secret, "name": k.name, "rpm": k.rpm, "state": k.state}
            | {"windows": variant.windows(k.rpm or 1, minute)}
            for k in keys
        ],
        "minute": minute,
        "scale": minute / 60,
        "requests": variant.requests,
        "threads": THREADS,
        "told": variant.told,
        "told_seconds": client == "stable_openai",
        "pace": client.endswith((", pace", ", paced")),
        "refill": client == "oracle, refill",
        "deadline": 4 * best + 10 * minute / 60,
    }
    found = child.do(spec)
    if "failed" in found:
        return found
    found |= host.stats(minute)
    found["best_s"] = round(best, 3)
    found["share"] = round(found["answered"] / variant.requests, 4)
    found["rejected_per_1000"] = round(1000 * found["rate_limited"] / max(1, found["answered"]), 1)
    return found


def main() -> None:
    """Run the variants."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.goodput", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--minute", type=float, help="seconds of the provider's minute (default: 4; 1.5 with --quick)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--variants", nargs="*", default=[variant.name for variant in variants.ALL])
    parser.add_argument("--clients", nargs="*", help="only these")
    options = parser.parse_args()
    minute = options.minute or (1.5 if options.quick else 4.0)
    names = variants.QUICK if options.quick and len(options.variants) == len(variants.ALL) else options.variants
    found: dict[str, Any] = {
        "about": {"versions": versions(), "minute_s": minute, "threads": THREADS, "quick": options.quick}
    }
    for variant in variants.ALL:
        if variant.name not in names:
            continue
        clients = [c for c in clients_of(variant, quick=options.quick) if not options.clients or c in options.clients]
        missing = [c for c in clients if c in MODULES and not is_there(MODULES[c])]
        missing += ["stable-openai 0.1.1"] if "stable-openai 0.1.1" in clients and OLD.python is None else []
        clients = [client for client in clients if client not in missing]
        runs: dict[str, list[dict[str, Any]]] = {client: [] for client in clients}
        for _ in range(options.rounds):
            for client, found_now in crawls(variant, clients, minute).items():
                runs[client].append(found_now)
        rows = {client: chosen(all_runs) for client, all_runs in runs.items()}
        found[variant.name] = {"about": asdict(variant), "rows": rows, "runs": runs, "missing": missing}
        show(variant.name, found[variant.name])
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
