#!/usr/bin/env bash
# Proves that the simulation bites: each patch of simulation/mutants is a defect, put into a copy of the committed sources; histories are lived
# through until one fails. The unchanged code has to pass as many. A mutant that nothing catches fails this.
#
#   simulation/mutants.sh [--most N] [NAME…]     at most N histories for each (10,000); mutants whose name holds one of the words
set -uo pipefail
cd "$(dirname "$0")/.."
most=10000
if [ "${1:-}" = --most ]; then most=$2; shift 2; fi
work=$PWD/target/mutants
tree=$work/tree
rm -rf "$tree"
mkdir -p "$tree"
git archive HEAD | tar -x -C "$tree"
export CARGO_TARGET_DIR=$work/target

build() { (cd "$tree" && cargo build --quiet --locked --profile simulation --package exact-token-broker-simulation) >"$work/build" 2>&1; }
first_number() { awk -v name="$1" 'index($0, name) == 1 {print $NF}' "$work/out"; }

failed=0
last=0
printf '%-42s %10s  %s\n' mutant histories "caught by"
for patch in simulation/mutants/*.patch; do
    name=$(basename "$patch" .patch)
    if [ $# -gt 0 ]; then
        wanted=no
        for word in "$@"; do [[ $name == *"$word"* ]] && wanted=yes; done
        [ $wanted = yes ] || continue
    fi
    patch -s -p1 -d "$tree" <"$patch" || { echo "$name: the patch does not apply"; failed=1; continue; }
    if build; then
        "$work/target/simulation/simulate" --seeds "1..$most" --until-first >"$work/out" 2>&1
        code=$?
        why=$(sed -nE 's/^NOT KEPT in seed ([0-9]+): (.*) \(again.*/\2 (seed \1)/p' "$work/out" | head -n 1)
        if [ $code = 0 ]; then
            why="NOTHING"
            failed=1
        elif [ -z "$why" ]; then
            # It crashed, or did not begin: that proves nothing.
            why="NO PROMISE: $(tail -n 1 "$work/out")"
            failed=1
        else
            seed=${why##*seed }
            [ "${seed%)}" -gt "$last" ] && last=${seed%)}
        fi
        printf '%-42s %10s  %s\n' "$name" "$(first_number histories)" "$why"
    else
        printf '%-42s does not build\n' "$name"
        failed=1
    fi
    patch -s -R -p1 -d "$tree" <"$patch"
done
if build && "$work/target/simulation/simulate" --seeds "1..$((last > 0 ? last : 1))" >"$work/out" 2>&1; then
    echo "the unchanged code passes the first $last"
else
    echo "THE UNCHANGED CODE DOES NOT PASS THE FIRST $last"
    grep "^NOT KEPT" "$work/out"
    failed=1
fi
exit $failed
