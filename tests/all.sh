#!/usr/bin/env bash
# Every test, on a Debian machine that has Rust: installs what is missing, runs each part, and prints a count for each. A part in which no test
# ran has failed, and so has one that could not get what it needs.
#
#   tests/all.sh             every part
#   tests/all.sh on_azure    the part with this target; several can be named
set -uo pipefail
# A shell that runs in the background ignores Ctrl+C, and so would every process that the tests start and interrupt.
if [ -z "${INTERRUPTIBLE:-}" ] && env --default-signal=INT true 2>/dev/null; then
    INTERRUPTIBLE=yes exec env --default-signal=INT "$0" "$@"
fi
cd "$(dirname "$0")/.."
# A snapshot is compared here, never rewritten.
unset UPDATE_EXPECT

say() { printf '%s\n' "$*"; }
die() { say "error: $*" >&2; exit 1; }

command -v cargo >/dev/null || die "cargo is missing: install Rust 1.91 or newer"

# Debian packages that a part needs: the command to look for, then the package.
need() {
    command -v "$1" >/dev/null && return
    say "installing $2 ($1 is missing)"
    local as=()
    [ "$(id -u)" = 0 ] || as=(sudo -n)
    "${as[@]}" apt-get update -qq >/dev/null && "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2" >/dev/null
    command -v "$1" >/dev/null || die "$2 could not be installed; install it yourself and try again"
}
need cc build-essential
need c++ build-essential
need python3 python3-venv
need npm npm
need chromium chromium
need chromedriver chromium-driver

# A real blob service, for the ledger.
azurite=3.37.0
if [ "$(cat target/tools/azurite-version 2>/dev/null)" != "$azurite" ]; then
    say "installing Azurite $azurite into target/tools"
    npm install --prefix target/tools --no-audit --no-fund --loglevel error "azurite@$azurite" >/dev/null || die "Azurite could not be installed"
    echo "$azurite" >target/tools/azurite-version
fi

# What looks for pages that keep people out.
axe=4.14.1
if [ "$(cat target/tools/axe-version 2>/dev/null)" != "$axe" ]; then
    say "installing axe-core $axe into target/tools"
    npm install --prefix target/tools --no-audit --no-fund --loglevel error "axe-core@$axe" >/dev/null || die "axe-core could not be installed"
    echo "$axe" >target/tools/axe-version
fi

log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT

# The parts: a name, then the targets of `cargo test --workspace`.
parts=(
    "core, adapters, store, simulators: unit tests|--lib"
    "words of the demo|--bin demo"
    "odd inputs for every parser (fuzzing)|--fuzz"
    "map, arrows, tables|--test architecture"
    "use cases in virtual time, crash matrix|--test in_process"
    "host protocol over sockets|--test handler_protocol"
    "Key Vault and managed identity, and their referee|--test azure_vault"
    "the ledger on a real blob service (Azurite)|--test azure_ledger"
    "the real binary on Azurite and a Key Vault|--test on_azure"
    "panics in the log|--test panic_log"
    "the real binary|--test real_binary"
    "simulated host with real processes|--test functions_host"
    "the demo|--test demo"
    "the simulation: one seed, one history; its mutants apply|--test simulation"
    "arguments of the simulation|--bin simulate"
    "a real browser (Chromium), and axe-core|--test browser"
)

# A target that no part names would be built and never run. The program itself has no tests of its own: its library has them.
targets=$(cargo metadata --locked --no-deps --format-version 1 | grep -oE '"kind":\["(test|bin)"\][^}]*"name":"[^"]*"' |
    sed -E 's/"kind":\["([a-z]+)"\].*"name":"([^"]*)"/--\1 \2/') || die "the test targets could not be listed"
named=$(printf '%s\n' "${parts[@]#*|}")
while read -r target; do
    [ "$target" = "--bin exact-token-broker" ] && continue
    grep -qxF -e "$target" <<<"$named" || die "no part runs $target"
done <<<"$targets"

# Only those that were asked for, by the last word of their option.
only=""
if [ $# -gt 0 ]; then
    chosen=()
    for wanted in "$@"; do
        before=${#chosen[@]}
        for part in "${parts[@]}"; do
            if [ "${part##*[ -]}" = "$wanted" ]; then chosen+=("$part"); fi
        done
        [ "${#chosen[@]}" -gt "$before" ] || die "no part has the target $wanted. There are:"$'\n'"$(printf '%s\n' "${parts[@]##*[ -]}" | sort -u)"
    done
    parts=("${chosen[@]}")
    only=${parts[*]#*|}
fi
# That one is no target of cargo's: it builds the library's tests again, with libFuzzer and counters.
only=${only//--fuzz/}

if [ $# = 0 ] || [ -n "${only// /}" ]; then
    say "building"
    # shellcheck disable=SC2086
    cargo test --workspace --locked $only --no-run 2>&1 | tee "$log/build" | grep -E '^(warning|error)' -A 12
    [ "${PIPESTATUS[0]}" = 0 ] || die "the tests do not build"
fi

total=0
failed=0
ignored=0
table=""
for part in "${parts[@]}"; do
    name=${part%%|*}
    printf "\n== %s\n" "$name"
    began=$SECONDS
    threads=()
    case ${part##*[ -]} in
        # They wait more than they work.
        on_azure | azure_ledger) threads=(--test-threads=4) ;;
    esac
    if [ "${part#*|}" = --fuzz ]; then
        fuzz/run.sh >"$log/part" 2>&1
    else
        # shellcheck disable=SC2086
        cargo test --workspace --locked ${part#*|} -- --show-output "${threads[@]}" >"$log/part" 2>&1
    fi
    code=$?
    took=$((SECONDS - began))
    # What a part wants to tell, and all of it if it failed.
    if [ $code = 0 ]; then grep -E '^(crash matrix|measured):' "$log/part"; else cat "$log/part"; fi
    passed=$(sed -nE 's/^test result: [^.]*\. ([0-9]+) passed.*/\1/p' "$log/part" | awk '{n += $1} END {print n + 0}')
    broken=$(sed -nE 's/^test result: .* ([0-9]+) failed;.*/\1/p' "$log/part" | awk '{n += $1} END {print n + 0}')
    ignored=$((ignored + $(sed -nE 's/^test result: .* ([0-9]+) ignored;.*/\1/p' "$log/part" | awk '{n += $1} END {print n + 0}')))
    verdict=ok
    if [ $code != 0 ]; then verdict=FAILED; [ "$broken" -gt 0 ] || broken=1; fi
    if [ $code = 0 ] && { [ "$passed" = 0 ] || grep -qx 'running 0 tests' "$log/part"; }; then
        verdict="FAILED: a target ran no test"
        broken=1
    fi
    total=$((total + passed))
    failed=$((failed + broken))
    table+=$(printf '%6d tests %5d s  %-45s %s' "$passed" "$took" "$name" "$verdict")$'\n'
done

# Whole function apps in virtual time. They are built apart, with arithmetic checked and without the optimizations of a release; that is not counted
# in the three minutes that they may take (some 90 s on two quiet cores).
if [ $# = 0 ]; then
    printf "\n== 2,000 histories\n"
    verdict=FAILED
    took=0
    if cargo build --quiet --locked --profile simulation --package exact-token-broker-simulation; then
        began=$SECONDS
        if cargo simulate --seeds 1..2000; then verdict=ok; fi
        took=$((SECONDS - began))
        say "2,000 histories took $took s, and may take 180"
        if [ $verdict = ok ] && [ $took -ge 180 ]; then verdict="FAILED: that is slower than 180 s"; fi
    fi
    [ "$verdict" = ok ] || failed=$((failed + 1))
    table+=$(printf '%6d hist. %5d s  %-45s %s' 2000 $took "2,000 histories of whole function apps" "$verdict")$'\n'
fi

printf "\n%s\n" "$table"
# Three are no tests but the child processes of tests, which start them by name.
if [ $# = 0 ] && [ "$ignored" != 3 ]; then say "$ignored tests are ignored, and 3 may be"; failed=$((failed + 1)); fi
say "$total passed, $failed failed"
[ "$failed" = 0 ]
