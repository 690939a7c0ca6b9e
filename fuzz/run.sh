#!/usr/bin/env bash
# Lets libFuzzer feed odd inputs to every parser that reads from outside, each for some seconds. First it has to find the defects of src/tests.rs.
#
#   fuzz/run.sh                       4 s for each target
#   fuzz/run.sh 600                   10 minutes for each
#   fuzz/run.sh 600 token_reply       those whose test's name has this part
#   FUZZ_SEED=7 FUZZ_KEEP=1 …         another seed; what takes a new branch is added to fuzz/corpus
#
# Stable Rust and a C++ compiler: only the product's own tests are built with the counters, under a name of their own. An input that fails stays in
# target/fuzz; once mended, it belongs into fuzz/corpus/<target>/.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { echo "error: $*" >&2; exit 1; }

seconds=${1:-4}
only=${2:-}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || die "$seconds is no number of seconds"
began=$SECONDS

built=$(cargo rustc --quiet --locked --lib --profile test --features fuzz --message-format json-render-diagnostics -- \
    -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
    -C llvm-args=-sanitizer-coverage-pc-table -C llvm-args=-sanitizer-coverage-trace-compares |
    sed -nE 's/.*"executable":"([^"]+)".*/\1/p')
[ -x "$built" ] || die "the instrumented tests were not built"
all=$("$built" --list | sed -nE 's/^(.*::fuzz::.*): test$/\1/p')
targets=$(grep -v '::planted_' <<<"$all" | grep -F -e "$only") || die "no target has $only in its name"

logs=target/fuzz
mkdir -p "$logs"

# libFuzzer ends its process when it is done: one for each target.
search() {
    local test=$1 log=$2 seconds=$3
    FUZZ_SECONDS=$seconds "$built" --exact "$test" --test-threads 1 --nocapture >"$log" 2>&1
}

# Without counters it would search blindly, and find little.
counts() { grep -qE '^INFO: Loaded .*\([1-9][0-9]* inline 8-bit counters\)' "$1"; }

named() { tr _ - <<<"${1##*::}"; }

fails() {
    sed 's/^/    /' "$2"
    echo "FAILED: fuzz $(named "$1"): $3"
    return 1
}

# It must fail, in the words of the defect, and keep the input.
planted() {
    local test=tests::fuzz::$1 words=$2 log code=0
    log=$logs/$(named "$1").log
    FUZZ_KEEP='' search "$test" "$log" 60 || code=$?
    if [ $code = 0 ]; then fails "$test" "$log" "the planted defect was not found"; return; fi
    counts "$log" || { fails "$test" "$log" "no branches are counted"; return; }
    grep -qF "$words" "$log" || { fails "$test" "$log" "it ended ($code), but not with \"$words\""; return; }
    grep -qF 'Test unit written to ' "$log" || { fails "$test" "$log" "the input was not kept"; return; }
    rm -f "$logs/$(named "$1")"-crash-*
    echo "measured: fuzz $(named "$1"): found after $(value number_of_executed_units "$log") executions"
}

value() { sed -nE "s/^stat::$1: +([0-9]+)\$/\1/p" "$2"; }

target() {
    local test=$1 log code=0 executions last took
    log=$logs/$(named "$test").log
    search "$test" "$log" "$seconds" || code=$?
    [ $code = 0 ] || { fails "$test" "$log" "exit code $code"; return; }
    counts "$log" || { fails "$test" "$log" "no branches are counted"; return; }
    executions=$(value number_of_executed_units "$log")
    took=$(sed -nE 's/^Done [0-9]+ runs in ([0-9]+) second.*/\1/p' "$log")
    last=$(sed -nE 's/^#[0-9]+[[:space:]]+DONE +cov: ([0-9]+) .* corp: ([0-9]+)\/.*/\1 edges (cov), corpus \2/p' "$log")
    if [ -z "$took" ] || [ -z "$last" ] || [ "${executions:-0}" = 0 ]; then fails "$test" "$log" "it told no numbers"; return; fi
    echo "measured: fuzz $(named "$test"): $executions executions in $took s, $last"
}

# Two at a time, and all of them, whatever becomes of one.
passed=0
failed=0
running=0
ended() {
    if wait -n; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    running=$((running - 1))
}
start() {
    [ "$running" -lt 2 ] || ended
    "$@" &
    running=$((running + 1))
}
finish() { while [ "$running" -gt 0 ]; do ended; done; }

start planted planted_panic 'it panicked: a planted number of '
start planted planted_leak 'it printed what stands for a secret: '
start planted planted_maze 'it panicked: the end of the planted maze'
start planted planted_hang 'it hangs: '
finish
if [ $failed = 0 ]; then
    for test in $targets; do start target "$test"; done
    finish
else
    echo "The planted defects first: the targets were not searched."
fi

verdict=ok
[ $failed = 0 ] || verdict=FAILED
echo "test result: $verdict. $passed passed; $failed failed; 0 ignored; finished in $((SECONDS - began)) s"
[ $failed = 0 ]
