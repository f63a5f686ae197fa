#!/usr/bin/env bash
# run.sh PROGRAM: the tests on a real Kafka broker. Starts one, runs tests/kafka/daemon_test.py against it, stops it whatever
# happens. The last line is "N passed, M failed[, K skipped]"; exit code 77 and a line "skipped: REASON" when no broker is to
# be had. The Python test finds the broker's directory in TOCSIN_KAFKA_DIR, to stop and start it again (broker.sh).
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
program="${1:?usage: run.sh PROGRAM}"
program="$(cd "$(dirname "$program")" && pwd)/$(basename "$program")"
dir="$(mktemp -d "${TMPDIR:-/tmp}/tocsin-kafka.XXXXXX")"
finish() {
  "$here/broker.sh" stop "$dir" || true
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

passed=0 failed=0 skipped=0
ok() { echo "ok: $1"; passed=$((passed + 1)); }
not_ok() { echo "FAILED: $1"; failed=$((failed + 1)); }

# Two neighbouring ports (broker and controller) that nobody has now. They lie below those the system gives to clients: a
# client that tries again and again while the broker is down would in the end be connected to itself.
port="$(python3 - <<'PY'
import os
import random
import socket
choice = random.Random(os.getpid())
while True:
    port = choice.randrange(20000, 32000)
    with socket.socket() as a, socket.socket() as b:
        try:
            a.bind(("127.0.0.1", port))
            b.bind(("127.0.0.1", port + 1))
        except OSError:
            continue
        print(port)
        break
PY
)"

status=0
address="$("$here/broker.sh" start "$dir" "$port" 2>&1)" || status=$?
if ((status == 77)); then
  echo "$address"
  exit 77
fi
if ((status != 0)); then
  echo "$address"
  echo "0 passed, 1 failed"
  exit 1
fi
address="$(tail -n 1 <<<"$address")"
export TOCSIN_BROKER="$address" TOCSIN_KAFKA_DIR="$dir"
ok "the broker answers on $address"

# What the tests below stand on: records come back as they were sent, also after the broker was stopped and started again.
printf 'a\t{"n":1}\nb\t{"n":2}\na\t{"n":3}\n' >"$dir/sent"
if "$here/topic.sh" create round_trip --partitions 1 && "$here/produce.sh" round_trip <"$dir/sent" &&
  "$here/broker.sh" stop "$dir" && "$here/broker.sh" start "$dir" >/dev/null &&
  "$here/consume.sh" round_trip >"$dir/received" && diff "$dir/sent" "$dir/received"; then
  ok "records outlive a stop and start of the broker"
else
  not_ok "records outlive a stop and start of the broker"
fi

if [[ -f "$here/daemon_test.py" ]]; then
  status=0
  python3 "$here/daemon_test.py" --tocsin "$program" --broker "$address" >"$dir/daemon_test.log" 2>&1 || status=$?
  cat "$dir/daemon_test.log"
  line="$(tail -n 1 "$dir/daemon_test.log")"
  if [[ "$line" =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)? ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
    skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
    ((status == 0 || BASH_REMATCH[2] > 0)) || not_ok "daemon_test.py ended with $status"
  else
    not_ok "daemon_test.py ended with $status and without counts"
  fi
else
  echo "skipped: there is no test of the daemon (tests/kafka/daemon_test.py)"
  skipped=$((skipped + 1))
fi
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
