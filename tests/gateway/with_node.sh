#!/usr/bin/env bash
# The gateway with openai's own client for JavaScript, which needs Node and fetches the client.
# `bash tests/gateway/with_node.sh`, with stable-openai on the PATH. Ends with 77 where the client can't be had.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
servers=()
command=
clean() {
  for one in $command "${servers[@]}"; do kill "$one" 2> /dev/null || true; done
  for one in $command "${servers[@]}"; do
    for _ in {1..50}; do kill -0 "$one" 2> /dev/null && sleep 0.1 || break; done
    kill -9 "$one" 2> /dev/null || true
  done
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$work"

# `run COMMAND…`: as it is, but a signal to this script is obeyed at once, not when the command has ended.
run() {
  "$@" &
  command=$!
  wait "$command"
}

# `told FILE PATTERN`: what a server says once it listens; it picks a free port.
told() {
  for _ in {1..150}; do
    grep -soE -m 1 "$2" "$1" && return
    for one in "${servers[@]}"; do kill -0 "$one" 2> /dev/null || break 2; done
    sleep 0.2
  done
  echo "it has not started:" >&2
  cat "$1" >&2
  return 1
}

run timeout 90 npm install --silent --no-audit --no-fund openai > npm.log 2>&1 || {
  echo "openai's client for JavaScript can't be installed here: $(tail -n 1 npm.log)"
  exit 77
}
cp "$here/with_node.mjs" .
printf '[[keys]]\nsecret = "sk-sim-dead"\n[[keys]]\nsecret = "sk-sim-good1"\n[[keys]]\nsecret = "sk-sim-good2"\n' > keys.toml
chmod 600 keys.toml
stable-openai simulate --port 0 --key sk-sim-good1 --key sk-sim-good2 > simulator.log 2>&1 &
servers+=($!)
provider=$(told simulator.log 'http://[^ ]+/v1')
stable-openai serve --gateway localhost:0 --pool keys.toml --base-url "$provider" > gateway.log 2>&1 &
servers+=($!)
BASE_URL=$(told gateway.log 'http://[^ ,]+/v1')
export BASE_URL
run node with_node.mjs
