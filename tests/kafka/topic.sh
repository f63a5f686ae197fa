#!/usr/bin/env bash
# topic.sh [--broker ADDRESS] create NAME [--partitions N] | delete NAME | list        (Kafka's own tool)
set -euo pipefail
source "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/common.sh"
take_broker "$@"
set -- "${rest[@]}"
case "${1:-}" in
  create)
    name="${2:?topic.sh create NAME [--partitions N]}"
    shift 2
    kafka_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$broker" --create --topic "$name" \
      --replication-factor 1 "$@" >&2
    ;;
  delete)
    kafka_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$broker" --delete --topic \
      "${2:?topic.sh delete NAME}" >&2
    ;;
  list) kafka_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$broker" --list ;;
  *) say "usage: topic.sh [--broker ADDRESS] create NAME [--partitions N] | delete NAME | list"; exit 2 ;;
esac
