#!/usr/bin/env bash
# consume.sh [--broker ADDRESS] [--partition N] TOPIC       Kafka's own console consumer: prints key, tab, value of every record
# that stands in the topic now, from the beginning ("null" where there is no key), then ends. The order within a partition is
# the topic's.
set -euo pipefail
source "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/common.sh"
take_broker "$@"
set -- "${rest[@]}"
partition=()
offsets_of=()
if [[ "${1:-}" == --partition ]]; then
  partition=(--partition "${2:?--partition needs a number}" --offset earliest)
  offsets_of=(--partitions "$2")
  shift 2
else
  partition=(--from-beginning)
fi
topic="${1:?usage: consume.sh [--broker ADDRESS] [--partition N] TOPIC}"

# The consumer itself never knows that it has read all, so the ends of the partitions are asked first. Where records were
# deleted or compacted away fewer come than that, and the time limit ends it.
ends="$(kafka_tool org.apache.kafka.tools.GetOffsetShell --bootstrap-server "$broker" --topic "$topic" "${offsets_of[@]}")"
if [[ -z "$ends" ]]; then
  say "kafka: there is no topic $topic on $broker"
  exit 1
fi
count="$(awk -F: '{sum += $NF} END {print sum + 0}' <<<"$ends")"
((count > 0)) || exit 0
# It says how many it has processed, and complains when the time limit ends it: neither is a fault here.
kafka_tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$broker" --topic "$topic" "${partition[@]}" \
  --max-messages "$count" --timeout-ms 15000 --property print.key=true --property "key.separator=$(printf '\t')" \
  2> >(grep -vE 'Processed a total of|TimeoutException|Error processing message' >&2 || true)
