# What the scripts of this folder share; sourced, not run. A real broker comes as jars from Maven's repository, fetched once
# into a cache outside the tree: ${TOCSIN_CACHE:-$HOME/.cache/tocsin}/kafka-VERSION.
kafka_version="${TOCSIN_KAFKA_VERSION:-3.9.1}"
kafka_home="${TOCSIN_CACHE:-${HOME:-/root}/.cache/tocsin}/kafka-$kafka_version"

say() { printf '%s\n' "$*" >&2; }

# Requires: nothing. Leaves all jars in $kafka_home/jars, or says why it cannot and returns 77 (the tests count as skipped).
fetch_jars() {
  [[ -f "$kafka_home/complete" ]] && return 0
  local program
  for program in java mvn; do
    if ! command -v "$program" >/dev/null; then
      say "skipped: there is no $program (./dev deps installs openjdk-17-jre-headless and maven)"
      return 77
    fi
  done
  mkdir -p "$kafka_home"
  # Two test runs may come at the same time; the second waits and finds the jars.
  exec 9>"$kafka_home/lock"
  flock 9
  if [[ ! -f "$kafka_home/complete" ]]; then
    say "kafka: fetching the jars of Kafka $kafka_version with Maven into $kafka_home"
    rm -rf "$kafka_home/jars"
    cat >"$kafka_home/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tocsin.tests</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka_version</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$kafka_version</version>
      <exclusions>
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>connect-runtime</artifactId></exclusion>
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>kafka-log4j-appender</artifactId></exclusion>
        <exclusion><groupId>org.slf4j</groupId><artifactId>slf4j-reload4j</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
    if ! mvn -B -q -Dstyle.color=never -f "$kafka_home/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
      -DoutputDirectory="$kafka_home/jars" </dev/null >"$kafka_home/maven.log" 2>&1; then
      sed 's/\x1b\[[0-9;]*m//g' "$kafka_home/maven.log" | grep -m 1 ERROR >&2 || true
      flock -u 9
      say "skipped: Maven cannot resolve org.apache.kafka:kafka_2.13:$kafka_version (all it said: $kafka_home/maven.log)"
      return 77
    fi
    touch "$kafka_home/complete"
  fi
  flock -u 9
  exec 9>&-
}

# kafka_tool CLASS ARGUMENTS...: one of Kafka's own command line tools. They live for a second, so the compiler that starts fast
# is enough. Their log goes to the error output, warnings only.
kafka_tool() {
  fetch_jars || return $?
  java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -Dorg.slf4j.simpleLogger.defaultLogLevel=error \
    -cp "$kafka_home/jars/*" "$@"
}

# Takes `--broker ADDRESS` off the arguments of the calling script; without it the address is TOCSIN_BROKER's, or Kafka's usual.
broker="${TOCSIN_BROKER:-127.0.0.1:9092}"
take_broker() {
  rest=()
  while (($# > 0)); do
    if [[ "$1" == --broker ]]; then
      broker="${2:?--broker needs an address}"
      shift 2
    else
      rest+=("$1")
      shift
    fi
  done
}
