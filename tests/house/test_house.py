"""The house rules: what loads when, which way dependencies point, what is exported."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import stable_openai

ROOT = Path(stable_openai.__file__).parent
HEAVY = (
    "openai",
    "httpx",
    "httpx2",
    "pydantic",
    "aiohttp",
    "redis",
    "grpc",
    "rich",
    "click",
    "prompt_toolkit",
    "matplotlib",
    "tenacity",
    "wrapt",
    "bpe_openai",
)

# Layer by package or module, as DESIGN has them. Nothing imports from a higher number.
LAYERS = {
    "__main__": 7,
    "errors": 1, "masking": 1, "beside": 1, "clock": 1, "limits": 1, "keys": 1, "key_sources": 1, "windows": 1, "learned": 1, "verdict": 1,
    "near_names": 1, "private": 1, "toml": 1,
    "stores": 2,
    "pool": 3,
    "failover": 4,
    "connections": 4,
    "exchange": 4.5,
    "serving": 4,
    "clients": 5, "doors": 5, "legacy": 5, "transports": 5,
    "conversation": 6, "batch": 6, "bulk": 6,
    "simulator": 7, "cli": 7, "gateway": 7, "service": 7,
}  # fmt: skip


def modules():
    return sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def layer_of(dotted: str) -> int:
    return LAYERS[dotted.split(".")[1]]


def imports_of(path: Path):
    """Absolute names of what a module imports from the package itself, lazily or at its top."""
    package = ["stable_openai", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            if node.module:
                yield ".".join([*base, node.module])
            else:
                yield from (".".join([*base, alias.name]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stable_openai."):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("stable_openai."))


def test_dependencies_point_down():
    """A layer knows nothing of those above it."""
    wrong = []
    for path in modules():
        own = ".".join(["stable_openai", *path.relative_to(ROOT).with_suffix("").parts])
        wrong += [f"{own} -> {other}" for other in imports_of(path) if layer_of(other) > layer_of(own)]
    assert wrong == []


def test_every_module_has_a_layer():
    """A new package has to say where it stands."""
    assert {path.relative_to(ROOT).with_suffix("").parts[0] for path in modules()} == set(LAYERS)


def test_files_stay_small():
    """None is past 400 lines."""
    long = {str(path): n for path in modules() if (n := len(path.read_text().splitlines())) > 400}
    assert long == {}


@pytest.mark.parametrize("statement", ["import stable_openai", "import stable_openai.simulator"])
def test_importing_loads_nothing_heavy(statement):
    """`import stable_openai` costs next to nothing: names load on first use."""
    code = f"import sys; {statement}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_a_pool_and_the_decorator_load_no_client():
    """Keys can be pooled and functions decorated without openai, httpx or pydantic."""
    code = (
        "import sys, stable_openai as s\n"
        "s.KeyManager(['sk-1']); s.stable(lambda api_key: api_key)()\n"
        f"print(*[m for m in {[m for m in HEAVY if m != 'wrapt']!r} if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_first_use_reads_no_verdicts():
    """What reads answers has tables and patterns that take long to make: they load when there is one to be read."""
    code = (
        "import sys\n"
        "from stable_openai import KeyPool, stable\n"
        "ask = stable(pool=KeyPool(['sk-1', 'sk-2'], rpm=500))(lambda api_key: api_key)\n"
        "ask(), ask.options(affinity='talk')()\n"
        "from stable_openai.verdict import Reason, Scope, Verdict\n"
        "print(*[m for m in sys.modules if m.startswith('stable_openai.verdict.')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["stable_openai.verdict.verdicts"]


def test_names_of_the_verdict_package():
    """They load on first use; each is there, and no other."""
    from stable_openai import verdict

    for name in verdict.__all__:
        assert getattr(verdict, name) is not None
        assert name in dir(verdict)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        verdict.nonsense  # noqa: B018


def test_exported_names():
    """`__all__` is sorted, and each name is there."""
    assert stable_openai.__all__ == sorted(stable_openai.__all__)
    for name in stable_openai.__all__:
        assert getattr(stable_openai, name) is not None
        assert name in dir(stable_openai)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        stable_openai.nonsense  # noqa: B018
