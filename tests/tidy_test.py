#!/usr/bin/env python3
"""Sows wrong includes into a copy of the house and sees tests/tidy.py catch each, with its file and line; and sees it accept the
right ones. The copy holds the tables and a few small files, so that a case depends on nothing but the rules."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent

# A small house that is in order.
RIGHT = {
    "base/hash.h": "#pragma once\n#include <string>\n",
    "base/hash.cpp": '#include "base/hash.h"\n\n#include <xxhash.h>\n',
    "event/event.h": '#pragma once\n#include "base/hash.h"\n',
    "event/decode_json.cpp": '#include "event/event.h"\n#include <simdjson.h>\n',
    "dsl/check.h": '#pragma once\n#include "event/event.h"\n',
    "dsl/grammar.cpp": '#include "dsl/check.h"\n#include <boost/spirit/home/x3.hpp>\n',
    "dsl/grammar_common.h": "#pragma once\n#include <boost/spirit/home/x3.hpp>\n",
    "dsl/grammar_rule.cpp": '#include "dsl/grammar_common.h"\n',
    "dsl/check.cpp": '#include "dsl/check.h"\n',
    "nfa/step.h": '#pragma once\n#include "base/hash.h"\n#include <vector>\n',
    "state/store.h": '#pragma once\n#include "event/event.h"\n',
    "engine/run/engine.h": '#pragma once\n#include "nfa/step.h"\n#include "state/store.h"\n',
    "engine/compile/plan.h": '#pragma once\n#include "engine/run/engine.h"\n#include "dsl/check.h"\n',
    "engine/reload.h": '#pragma once\n#include "engine/compile/plan.h"\n',
    "replay/replay.h": '#pragma once\n#include "engine/reload.h"\n',
    "daemon/daemon.h": '#pragma once\n#include "engine/reload.h"\n',
    "app/log.cpp": '#include "daemon/daemon.h"\n#include <unistd.h>\n#include <spdlog/spdlog.h>\n#include <spdlog/sinks/sink.h>\n',
    "tests/nfa/step_test.cpp": '#include <doctest/doctest.h>\n#include "nfa/step.h"\n#include "dsl/check.h"\n',
}

# Name of the case, file, the line that is added to its end, and what the complaint must say.
WRONG = [
    ("a sibling", "nfa/step.h", '#include "state/store.h"', "nfa may not include state"),
    ("nfa needs only base", "nfa/step.h", '#include "event/event.h"', "nfa may not include event"),
    ("upwards", "base/hash.h", '#include "event/event.h"', "base may not include event"),
    ("run sees no dsl", "engine/run/engine.h", '#include "dsl/check.h"', "engine/run may not include dsl"),
    ("run sees no compile", "engine/run/engine.h", '#include "engine/compile/plan.h"',
     "engine/run may not include engine/compile"),
    ("halves see no reload", "engine/compile/plan.h", '#include "engine/reload.h"', "engine/compile may not include engine"),
    ("daemon and replay", "daemon/daemon.h", '  #  include "replay/replay.h"', "daemon may not include replay"),
    ("not from the root", "nfa/step.h", '#include "step.h"', "no header of ours"),
    ("third party in a wrong folder", "nfa/step.h", "#include <simdjson.h>", "simdjson may be included nowhere in nfa"),
    ("third party in a wrong file", "event/event.h", "#include <simdjson.h>",
     "simdjson may be included only in event/decode_json.cpp"),
    ("third party by its folder", "dsl/check.h", "#include <boost/variant.hpp>", "Boost may be included only in dsl/grammar"),
    ("a third party that a header of ours brings along", "dsl/check.cpp", '#include "dsl/grammar_common.h"',
     "brings Boost along"),
    ("the system where no clock may be", "nfa/step.h", "#include <sys/time.h>", "system may be included nowhere in nfa"),
    ("an unknown third party", "base/hash.h", "#include <absl/hash/hash.h>", "belongs to no third party"),
]


def tidy(root):
    done = subprocess.run([sys.executable, str(HERE / "tidy.py"), str(root)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def build(root, files):
    (root / "docs").mkdir(parents=True)
    shutil.copy(HERE.parent / "docs" / "hacking.md", root / "docs" / "hacking.md")
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main():
    passed = failed = 0

    def case(name, files, status, wanted):
        nonlocal passed, failed
        with tempfile.TemporaryDirectory() as place:
            root = pathlib.Path(place) / "house"
            build(root, files)
            got_status, output = tidy(root)
        # One sown mistake is one complaint: the first line is it, the second the counts.
        lines = output.splitlines()
        good = got_status == status and len(lines) == (2 if wanted else 1) and (not wanted or all(w in lines[0] for w in wanted))
        if good:
            passed += 1
        else:
            failed += 1
            print(f"FAILED: {name}: exit {got_status}, wanted {status} and {wanted}; it said:\n{output}")

    case("in order", RIGHT, 0, None)
    for name, file, line, message in WRONG:
        files = dict(RIGHT)
        files[file] += line + "\n"
        number = files[file].count("\n")
        case(name, files, 1, [f"{file}:{number}: ", message])
    files = dict(RIGHT)
    files["app/serve.cpp"] = "\n#include <spdlog/spdlog.h>\n"
    case("one file only", files, 1, ["app/serve.cpp:2: ", "only one file may"])

    # Without its table it must not say that all is well.
    with tempfile.TemporaryDirectory() as place:
        root = pathlib.Path(place)
        (root / "docs").mkdir()
        (root / "docs" / "hacking.md").write_text("# empty\n", encoding="utf-8")
        status, output = tidy(root)
        if status == 1 and "no table" in output:
            passed += 1
        else:
            failed += 1
            print(f"FAILED: no table: exit {status}: {output}")

    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
