"""A file of prompts through ``stable-openai batch``, against a provider with all that a night may bring."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.environments import ROOT, child_environment
from stable_openai.simulator import SimKey, Simulator, Stats

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Night"]

MODEL: Final = "gpt-4o-mini"
WORDS: Final = ["a", "list", "of", "words", "of", "which", "each", "prompt", "takes", "some", "more", "than", "one"]


@dataclass(frozen=True)
class Night:
    """Eight keys: three good ones that requests bind, three that tokens bind, a dead one, one whose quota ends.

    Attributes:
        requests: How many prompts.
        minute: How many seconds the provider's minute lasts.
        rpm: Requests a minute of each key.
        tpm: Tokens a minute of those that tokens bind.
        seed: The seed of all chance.
    """

    requests: int = 20_000
    minute: float = 10.0
    rpm: int = 600
    tpm: int = 20_000
    seed: int = 0

    def keys(self) -> list[SimKey]:
        """Those of the provider."""
        half_way = self.requests // 16  # half of an eighth
        loose = 10 * self.tpm
        return [
            SimKey("sk-sim-dead0000", "dead", rpm=self.rpm, tpm=loose, state="dead"),
            SimKey("sk-sim-ends0000", "ends", rpm=self.rpm, tpm=loose, quota_requests=half_way),
            *(SimKey(f"sk-sim-requests{n}", f"requests-{n}", rpm=self.rpm, tpm=loose) for n in (1, 2, 3)),
            *(SimKey(f"sk-sim-tokens00{n}", f"tokens-{n}", rpm=self.rpm, tpm=self.tpm) for n in (1, 2, 3)),
        ]

    def run(self) -> dict[str, Any]:
        """Let it run, and say what has come of it."""
        with tempfile.TemporaryDirectory() as name, self._simulator() as simulator:
            folder = Path(name)
            self._write(folder)
            command = [
                sys.executable, "-m", "stable_openai", "batch", str(folder / "in.jsonl"),
                "-o", str(folder / "out.jsonl"),
                "--pool", str(folder / "keys.toml"),
                "--base-url", simulator.base_url, "--json",
            ]  # fmt: skip
            began = time.monotonic()
            done = subprocess.run(command, check=False, env=child_environment(), cwd=ROOT, stdout=subprocess.PIPE)
            seconds = time.monotonic() - began
            stats = simulator.stats()
            ids = Counter(json.loads(line)["custom_id"] for line in (folder / "out.jsonl").open())
            report = json.loads(done.stdout)
        goodput = self.goodput(stats)
        return {
            "requests": self.requests,
            "exit_code": done.returncode,
            "answered": len(ids),
            "twice": sum(count > 1 for count in ids.values()),
            "seconds": round(seconds, 1),
            "goodput": round(goodput, 4),
            "rejected_per_1000": round(1000 * stats.total.rate_limited / self.requests, 2),
            "attempts": stats.total.attempts,
            "outcomes": dict(stats.total.outcomes),
            "share": report.get("share"),
            "failed": report.get("failed"),
        }

    def _simulator(self) -> Simulator:
        return Simulator(
            self.keys(),
            minute=self.minute,
            seed=self.seed,
            latency_s=(0.02, 0.2),
            server_error_rate=0.01,
            reset_rate=0.005,
            log_length=4 * self.requests,
        )

    def _write(self, folder: Path) -> None:
        with (folder / "in.jsonl").open("w") as file:
            file.writelines(json.dumps(line) + "\n" for line in self._lines())
        pool = folder / "keys.toml"
        pool.touch(mode=0o600)
        pool.write_text(f"[pool]\nminute = {self.minute}\n" + "".join(
            f'[[keys]]\nsecret = "{key.secret}"\nname = "{key.name}"\nlimits = {{ rpm = {key.rpm}, tpm = {key.tpm} }}\n'
            for key in self.keys()
        ))  # fmt: skip

    def _lines(self) -> Iterator[dict[str, Any]]:
        for number in range(self.requests):
            prompt = f"{number} {' '.join(WORDS * (number % 4) or WORDS[:3])}"
            body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}], "max_tokens": 200}
            yield {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}

    def goodput(self, stats: Stats) -> float:
        """What the good keys served in whole minutes after the first, against their limits, whichever binds more."""
        begin = stats.arrivals[0].at
        minutes = int((stats.arrivals[-1].at - begin) / self.minute) - 1  # the last one is not whole
        served: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for arrival in stats.arrivals:
            if arrival.accepted and self.minute <= arrival.at - begin < self.minute * (minutes + 1):
                served[arrival.key][0] += 1
                served[arrival.key][1] += arrival.tokens
        shares = []
        for key in self.keys():
            if key.name not in {"dead", "ends"}:
                requests, tokens = served[key.name or ""]
                assert key.rpm is not None
                assert key.tpm is not None
                shares.append(max(requests / key.rpm, tokens / key.tpm) / minutes)
        return sum(shares) / len(shares)


if __name__ == "__main__":
    told = dict(zip(("requests", "minute"), map(float, sys.argv[1:]), strict=False))
    night = Night(int(told.get("requests", 20_000)), told.get("minute", 60.0))
    for name, value in night.run().items():
        print(f"{name}: {value}")
