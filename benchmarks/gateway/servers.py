"""The processes that are compared: started in turn, on loopback, ended with the block."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.environments import ROOT, child_environment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

__all__ = [
    "DIRECT",
    "OURS",
    "THEIRS",
    "TOKEN",
    "Server",
    "cpu_seconds",
    "free_port",
    "litellm_command",
    "many_files",
    "ours_command",
    "processes_of",
    "resident",
    "upstream_command",
]

DIRECT: Final = "direct"
OURS: Final = "stable_openai"
THEIRS: Final = "LiteLLM proxy"
START_S: Final = 90.0
TOKEN: Final = "BENCHMARK_TOKEN"  # the variable of what clients show: both gateways ask for it
FILES: Final = 8_192  # open at once: two for each of a thousand streams, and some
TICK: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4_096
CONFIG: Final = """\
model_list:
{models}
general_settings:
  master_key: os.environ/{token}
  disable_spend_logs: true
litellm_settings:
  telemetry: false
  num_retries: 0
"""
MODEL: Final = """\
  - model_name: m
    litellm_params:
      model: openai/m
      api_base: http://127.0.0.1:{upstream}/v1
      api_key: sk-benchmark-{number:04d}
"""


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def upstream_command(port: int) -> list[str]:
    """The provider."""
    return [sys.executable, "-m", "benchmarks.gateway.upstream", str(port)]


def ours_command(port: int, upstream: int) -> list[str]:
    """Our gateway."""
    return [sys.executable, "-m", "benchmarks.gateway.ours", str(port), str(upstream)]


def litellm_command(port: int, upstream: int, folder: str) -> list[str] | None:
    """LiteLLM's proxy with as many keys and one worker; None where it is not installed."""
    script = Path(sys.executable).with_name("litellm")
    if not script.exists():
        return None
    config = Path(folder) / "litellm.yaml"
    config.write_text(
        CONFIG.format(token=TOKEN, models="".join(MODEL.format(upstream=upstream, number=n) for n in range(10)))
    )
    return [str(script), "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]


class Server:
    """A server that runs until the block ends.

    Args:
        command: What starts it.
        port: Where it is to listen, on loopback.
    """

    def __init__(self, command: list[str], port: int) -> None:
        self._command = command
        self._port = port

    def __enter__(self) -> Self:
        environment = {**child_environment(), "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}
        self._said = tempfile.TemporaryFile()  # closed with the block
        self._process = subprocess.Popen(
            self._command, env=environment, cwd=ROOT, stdout=self._said, stderr=subprocess.STDOUT
        )
        self.pid = self._process.pid
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()

    def wait(self) -> None:
        """Wait until it listens.

        Raises:
            OSError: It does not; with the end of what it said.
        """
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return
            time.sleep(0.05)
        self._said.seek(0)
        raise OSError(
            f"{' '.join(self._command[:3])} does not listen: {self._said.read()[-1_000:].decode(errors='replace')}"
        )


def many_files() -> int:
    """Let this process and its children have many connections open; returns how many each may."""
    try:
        import resource
    except ImportError:
        return 512
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return most
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def processes_of(pid: int) -> list[int]:
    """A process and its children, as far as they can be told."""
    found = [pid]
    with contextlib.suppress(OSError):
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if folder.name.isdigit() and int(_stat(int(folder.name))[1]) == pid:
                    found.append(int(folder.name))
    return found


def cpu_seconds(pid: int) -> float | None:
    """The processor's time that a process has taken, its children's included; None where that can't be told."""
    found = 0.0
    for one in processes_of(pid):
        with contextlib.suppress(OSError, ValueError):
            fields = _stat(one)
            found += (int(fields[11]) + int(fields[12])) / TICK
    return found or None


def resident(pids: Iterable[int]) -> int:
    """The memory that processes have resident together, in bytes; 0 where that can't be told."""
    found = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):
            found += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return found


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
