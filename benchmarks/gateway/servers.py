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
    from collections.abc import Iterator

__all__ = ["TOKEN", "cpu_seconds", "free_port", "litellm_command", "ours_command", "server", "upstream_command"]

START_S: Final = 90.0
TOKEN: Final = "BENCHMARK_TOKEN"  # the variable of what clients show: both gateways ask for it
TICK: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
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
    probe = [sys.executable, "-c", "import litellm.proxy.proxy_server"]
    if (
        not script.exists()
        or subprocess.run(probe, check=False, capture_output=True, env=child_environment()).returncode
    ):
        return None
    config = Path(folder) / "litellm.yaml"
    config.write_text(
        CONFIG.format(token=TOKEN, models="".join(MODEL.format(upstream=upstream, number=n) for n in range(10)))
    )
    return [str(script), "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]


@contextlib.contextmanager
def server(command: list[str], port: int) -> Iterator[int]:
    """Run a server until the block ends; yields its process's number once it listens."""
    environment = {**child_environment(), "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        try:
            _await(process, port, said)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(process: subprocess.Popen[bytes], port: int, said: object) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    said.seek(0)  # type: ignore[attr-defined]
    raise OSError(f"{process.args!r} does not listen: {said.read()[-2000:]!r}")  # type: ignore[attr-defined]


def cpu_seconds(pid: int) -> float | None:
    """The processor's time that a process has taken, its children's included; None where that can't be told."""
    try:
        found = 0.0
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    fields = (folder / "stat").read_text().rpartition(")")[2].split()
                    if int(folder.name) == pid or int(fields[1]) == pid:
                        found += (int(fields[11]) + int(fields[12])) / TICK
    except (OSError, ValueError):
        return None
    return found or None
