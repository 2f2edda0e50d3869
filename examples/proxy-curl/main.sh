#!/bin/sh
# Any language: `tallystick proxy` signs and pays, what talks to it knows a base URL and nothing else.
set -eu
cd "$(dirname "$0")"
node_modules/.bin/tallystick proxy --port 0 > proxy.log 2>&1 &
proxy=$!
trap 'kill $proxy 2>/dev/null; rm -f proxy.log' EXIT
until grep -qs OPENAI_BASE_URL proxy.log; do
  kill -0 $proxy || { cat proxy.log; exit 1; }
  sleep 0.2
done
eval "$(grep '^export OPENAI_BASE_URL' proxy.log)"
echo "$OPENAI_BASE_URL"
curl -sS "$OPENAI_BASE_URL/chat/completions" -H 'content-type: application/json' \
  -d '{"model":"qwen-plus","messages":[{"role":"user","content":"What is a tally stick?"}]}'
echo
sleep 0.5
cat proxy.log
