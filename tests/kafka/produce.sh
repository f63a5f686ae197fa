#!/usr/bin/env bash
# produce.sh [--broker ADDRESS] [--no-key] TOPIC <LINES     Kafka's own console producer: each line is key, tab, value, or with
# --no-key a value. Ends when all is acknowledged.
set -euo pipefail
source "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/common.sh"
take_broker "$@"
set -- "${rest[@]}"
keys=(--property parse.key=true --property "key.separator=$(printf '\t')")
if [[ "${1:-}" == --no-key ]]; then
  keys=()
  shift
fi
topic="${1:?usage: produce.sh [--broker ADDRESS] [--no-key] TOPIC}"

# The producer sends in batches and ends when all is answered, but with code 0 even when a record was refused: that it only logs.
# (With --sync it would wait for the answer, and for its linger time, record by record.)
errors="$(mktemp)"
trap 'rm -f "$errors"' EXIT
status=0
kafka_tool kafka.tools.ConsoleProducer --bootstrap-server "$broker" --topic "$topic" --timeout 5 \
  --producer-property acks=all --producer-property delivery.timeout.ms=30000 --producer-property request.timeout.ms=10000 \
  --max-block-ms 10000 "${keys[@]}" >/dev/null 2>"$errors" || status=$?
if ((status != 0)) || [[ -s "$errors" ]]; then
  head -n 20 "$errors" >&2
  say "kafka: not all records reached $topic on $broker"
  exit 1
fi
