"""openai's own test-suite: where it comes from, what it needs, and how it is run."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
import tarfile
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE: Final = Path(__file__).resolve().parent
REPOSITORY: Final = HERE.parents[1]
EXTRAS: Final = ("aiohttp", "realtime", "bedrock")
NEEDS: Final = (
    "pytest>=9",
    "pytest-asyncio",
    "pytest-timeout",
    "pytest-xdist",
    "cryptography",  # certificates for its tests of TLS
    "dirty-equals",  # 2.x
    "google-auth[requests]",  # its Vertex provider
    "httpx",  # 3.x still takes a client of httpx where it is installed
    "inline-snapshot",
    "jsonschema",  # 2.x
    "nest_asyncio",  # 2.x
    "respx",  # 2.x
    "rich",
    "time-machine",  # 2.x
    "trio",
)
LEFT_OUT: Final = {
    "test_breaking_change_reexports.py": "reads openai's sources",
    "test_consumer_compatibility.py": "reads openai's sources",
    "test_dependency_constraints.py": "reads openai's project file",
    "test_lazy_imports.py": "starts interpreters of its own, where nothing is exchanged",
    "test_microphone.py": "records sound with numpy",
    "test_mtls_http_client.py": "runs openai's examples in interpreters of their own",
    "test_realtime_example_keepalive.py": "runs an example of openai's in interpreters of its own",
    "test_uv_workflows.py": "openai's own release workflows",
}
_OF_CLIENTS: Final = re.compile(r"OpenAI\b|\bclient\b")


@dataclasses.dataclass(frozen=True)
class Suite:
    """An unpacked suite and the interpreter to run it with."""

    sources: Path
    python: Path
    workers: int = 2

    @classmethod
    def prepare(cls, version: str, folder: Path, workers: int) -> Suite:
        """Fetches the source distribution of ``version`` and makes an environment for its tests, where there is none."""
        environment = folder / f"environment-{version}"
        python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
        prepared = cls(folder / f"openai-{version}", python, workers)
        if prepared.sources.exists():  # unpacked last of all
            return prepared
        venv.create(environment, with_pip=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "-q"]
        wanted = f"openai[{','.join(EXTRAS)}]=={version}"
        subprocess.run([*pip, "install", "-e", str(REPOSITORY), wanted, *NEEDS], check=True)
        subprocess.run(
            [*pip, "download", "--no-deps", "--no-binary", "openai", "-d", str(folder), f"openai=={version}"],
            check=True,
        )
        with tarfile.open(folder / f"openai-{version}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        return prepared

    def modules(self) -> list[str]:
        """The modules that have to do with clients."""
        return [
            module.relative_to(self.sources).as_posix()
            for module in sorted((self.sources / "tests").rglob("test_*.py"))
            if module.name not in LEFT_OUT and _OF_CLIENTS.search(module.read_text(encoding="utf-8"))
        ]

    def run(self, clients: str, tests: Iterable[str], report: Path, *, limit: float) -> None:
        """Runs ``tests`` with the clients of the module named ``clients``; outcomes go to ``report``.

        Raises subprocess.TimeoutExpired where that takes more than ``limit`` seconds.
        """
        chosen = report.with_suffix(".chosen")
        chosen.write_text("\n".join(tests), encoding="utf-8")
        plugins = ["faithful_outcomes", "faithful_contexts", "faithful_answers"]
        if clients != "openai":
            plugins.insert(0, "faithful_exchange")
        command = [str(self.python), "-m", "pytest", "-q", "--tb=native", "-n", str(self.workers), "--timeout=60"]
        command += ["-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:stable_openai"]
        command += [word for plugin in plugins for word in ("-p", plugin)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "AZURE"))}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE / "plugins"), os.environ.get("PYTHONPATH")]))
        environment |= {"FAITHFUL_CLIENTS": clients, "FAITHFUL_OUTCOMES": str(report)}
        with report.with_suffix(".log").open("wb") as log:
            ended = subprocess.run(
                [*command, f"@{chosen}"],
                cwd=self.sources,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=limit,
                check=False,
            )
        if ended.returncode not in {0, 1, 2}:  # passed, failed, or some modules could not be read
            sys.stderr.write(report.with_suffix(".log").read_text(encoding="utf-8", errors="replace")[-4000:])
            raise RuntimeError(f"pytest ended with {ended.returncode}")
