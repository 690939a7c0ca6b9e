#!/usr/bin/env bash
# Feeds odd inputs to every parser that reads from outside, each for some seconds, and sees by LLVM's counters which branches they take.
#
#   fuzz/run.sh                       4 s for each target
#   fuzz/run.sh 600                   10 minutes for each
#   fuzz/run.sh 600 token_reply       one of them, by a part of its test's name
#   FUZZ_SEED=7 FUZZ_KEEP=1 …         another seed; what takes a new branch is added to fuzz/corpus
#
# Stable Rust and nothing else: only the product's own tests are built with the counters, under a name of their own.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-4}
only=${2:-}
built=$(cargo rustc --quiet --locked --lib --profile test --message-format json-render-diagnostics -- \
    -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=3 -C llvm-args=-sanitizer-coverage-inline-8bit-counters |
    sed -nE 's/.*"executable":"([^"]+)".*/\1/p')
[ -x "$built" ] || { echo "error: the instrumented tests were not built" >&2; exit 1; }
# One after the other: the counters are the process's.
FUZZ_SECONDS=$seconds exec "$built" "fuzz::$only" --test-threads 1 --show-output
