"""The environments of the peers: made once, kept beside this file, git-ignored."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

__all__ = ["OLD", "PEERS", "ROOT", "Environment", "child_environment", "is_there", "versions"]

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
_SHOWN: Final = (
    "aiolimiter",
    "backoff",
    "limits",
    "litellm",
    "openai",
    "pyrate-limiter",
    "redis",
    "stamina",
    "tenacity",
    "wrapt",
)


class Environment:
    """A virtual environment for a file of requirements.

    Args:
        name: The name of its directory.
        requirements: The file that says what is in it.
    """

    def __init__(self, name: str, requirements: str) -> None:
        self._home = HERE / name
        self._requirements = HERE / requirements
        self.missing: list[str] = []

    @property
    def python(self) -> str | None:
        """Its interpreter; None where it has not been made."""
        found = self._home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        return str(found) if found.exists() else None

    def install(self) -> None:
        """Make it, and install what is not there; ``missing`` then names what could not be installed."""
        if self.python is None:
            venv.create(self._home, with_pip=True)
        wanted = [line for line in self._requirements.read_text().splitlines() if line and not line.startswith("#")]
        if self._pip(wanted):
            return
        for requirement in wanted:  # one bad apple: find out which
            if not self._pip([requirement]):
                self.missing.append(re.split(r"[<>=;]", requirement)[0])

    def _pip(self, requirements: list[str]) -> bool:
        assert self.python is not None
        command = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode == 0


PEERS: Final = Environment(".venv-peers", "peers.txt")
OLD: Final = Environment(".venv-old", "old.txt")


def child_environment(*, ours: bool = True) -> dict[str, str]:
    """The environment variables of a child: our package on the path (not for the old one), and no proxies or keys."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if "proxy" not in name.lower() and not name.startswith(("OPENAI_", "AZURE_", "PYTHON"))
    }
    kept["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches a list of prices when it is imported
    if ours:
        kept["PYTHONPATH"] = str(ROOT)
    return kept


def is_there(module: str) -> bool:
    """Whether a peer can be imported here."""
    return importlib.util.find_spec(module) is not None


def versions() -> dict[str, str]:
    """The versions of what is compared, and of Python."""
    found = {"python": sys.version.split()[0]}
    for name in _SHOWN:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
