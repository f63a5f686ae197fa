#!/usr/bin/env bash
# One real Kafka broker (KRaft, no ZooKeeper) on loopback, for tests.
#   broker.sh start DIR [PORT]   starts it with its data, log and process id under DIR, waits until it answers and prints its
#                                address; a DIR that was stopped goes on with its data, on its old port unless one is given
#   broker.sh stop DIR           ends it in order and waits for that
#   broker.sh kill DIR           ends it at once (kill -9), as a crash would
# The controller listens on PORT + 1. Exit code 77: Java, Maven or the jars are not to be had.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source "$here/common.sh"

# Sends ApiVersions (the one request every broker answers to anybody) and waits for an answer of the same number.
answers() {
  python3 - "$1" <<'PY'
import socket, struct, sys
try:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=2) as s:
        request = struct.pack(">hhih", 18, 0, 7, -1)
        s.sendall(struct.pack(">i", len(request)) + request)
        answer = s.recv(8)
        sys.exit(0 if len(answer) == 8 and struct.unpack(">ii", answer)[1] == 7 else 1)
except OSError:
    sys.exit(1)
PY
}

# Only a process that runs on our configuration file is ours; a number in a stale file may long be somebody else's.
running_pid() {
  local dir="$1" pid
  [[ -f "$dir/pid" ]] || return 1
  pid="$(cat "$dir/pid")"
  [[ -r "/proc/$pid/cmdline" ]] || return 1
  tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF "$dir/server.properties" || return 1
  echo "$pid"
}

start() {
  local dir="$1" port="${2:-}"
  mkdir -p "$dir"
  dir="$(cd "$dir" && pwd)"
  local status=0
  fetch_jars || status=$?
  ((status == 0)) || return "$status"
  if running_pid "$dir" >/dev/null; then
    say "kafka: a broker already runs on $dir"
    return 1
  fi
  if [[ -z "$port" ]]; then
    port="$(sed -nE 's#^listeners=PLAINTEXT://127\.0\.0\.1:([0-9]+),.*#\1#p' "$dir/server.properties" 2>/dev/null || true)"
    port="${port:-9092}"
  fi
  cat >"$dir/server.properties" <<CONFIG
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/data
num.network.threads=2
num.io.threads=2
num.partitions=1
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
log.cleaner.backoff.ms=500
controlled.shutdown.enable=true
CONFIG
  if [[ ! -f "$dir/data/meta.properties" ]]; then
    if ! kafka_tool kafka.tools.StorageTool format -t "$(kafka_tool kafka.tools.StorageTool random-uuid)" \
      -c "$dir/server.properties" >"$dir/format.log" 2>&1; then
      cat "$dir/format.log" >&2
      say "kafka: the broker's storage under $dir/data could not be formatted"
      return 1
    fi
  fi
  # Its own session, and none of our files: whoever waits for the end of our output must not wait for the broker's.
  setsid java -Xms256m -Xmx512m -XX:+UseSerialGC -Dorg.slf4j.simpleLogger.defaultLogLevel=info \
    -Dorg.slf4j.simpleLogger.showDateTime=true -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS \
    -cp "$kafka_home/jars/*" kafka.Kafka "$dir/server.properties" </dev/null >>"$dir/broker.log" 2>&1 &
  echo $! >"$dir/pid"
  local tries
  for ((tries = 0; tries < 300; ++tries)); do
    if ! running_pid "$dir" >/dev/null && ((tries > 5)); then
      tail -n 20 "$dir/broker.log" >&2
      say "kafka: the broker ended while it started (its log: $dir/broker.log)"
      return 1
    fi
    if answers "$port"; then
      echo "127.0.0.1:$port"
      return 0
    fi
    sleep 0.2
  done
  tail -n 20 "$dir/broker.log" >&2
  say "kafka: the broker gave no answer on port $port in a minute"
  end "$dir" KILL
  return 1
}

# end DIR SIGNAL
end() {
  local dir pid tries
  dir="$(cd "$1" && pwd)"
  if ! pid="$(running_pid "$dir")"; then
    rm -f "$dir/pid"
    return 0
  fi
  kill "-$2" "$pid" 2>/dev/null || true
  for ((tries = 0; tries < 150; ++tries)); do
    if ! running_pid "$dir" >/dev/null; then
      rm -f "$dir/pid"
      return 0
    fi
    sleep 0.2
  done
  say "kafka: the broker (process $pid) did not end in 30 s; it is killed"
  kill -KILL "$pid" 2>/dev/null || true
  rm -f "$dir/pid"
}

case "${1:-}" in
  start) start "${2:?broker.sh start DIR [PORT]}" "${3:-}" ;;
  stop) end "${2:?broker.sh stop DIR}" TERM ;;
  kill) end "${2:?broker.sh kill DIR}" KILL ;;
  *) say "usage: broker.sh start DIR [PORT] | stop DIR | kill DIR"; exit 2 ;;
esac
