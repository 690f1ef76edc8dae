#!/usr/bin/env bash
# The gateway with openai's own client for JavaScript, which needs Node and fetches the client: by hand, not in the build.
# `bash tests/gateway/with_node.sh`, with stable-openai on the PATH.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null; rm -rf "$work"' EXIT
cd "$work"
npm install --silent openai
cp "$here/with_node.mjs" .
printf '[[keys]]\nsecret = "sk-sim-dead"\n[[keys]]\nsecret = "sk-sim-good1"\n[[keys]]\nsecret = "sk-sim-good2"\n' > keys.toml
chmod 600 keys.toml
stable-openai simulate --port 8912 --key sk-sim-good1 --key sk-sim-good2 > simulator.log &
stable-openai serve --gateway localhost:8913 --pool keys.toml --base-url http://127.0.0.1:8912/v1 2> gateway.log &
until grep -q "gateway on" gateway.log && grep -q listens simulator.log; do sleep 0.2; done
BASE_URL=http://localhost:8913/v1 node with_node.mjs
