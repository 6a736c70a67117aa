#!/bin/sh
# Runs every fuzzer of a build for some seconds each, on a copy of its corpus:
# what it finds goes to BUILD/findings, and a crash makes this fail.
#
#   fuzz.sh BUILD SECONDS
set -eu
cd "$(dirname "$0")/.."

build=$1
seconds=$2
findings=$build/findings
failed=0
ran=0
for f in "$build"/tests/fuzz/fuzz_*; do
	[ -f "$f" ] && [ -x "$f" ] || continue
	name=${f##*/fuzz_}
	mkdir -p "$findings/$name"
	corpus=tests/fuzz/corpus/$name
	echo "== $name ($seconds s)"
	ran=$((ran + 1))
	# shellcheck disable=SC2046
	"$f" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$findings/$name-" "$findings/$name" $([ -d "$corpus" ] && echo "$corpus") \
		>"$findings/$name.log" 2>&1 || {
		failed=$((failed + 1))
		tail -40 "$findings/$name.log"
	}
	grep -E 'stat::number_of_executed_units|stat::new_units_added' "$findings/$name.log" || true
done
echo "$ran fuzzers, $failed failed"
[ "$ran" -gt 0 ] && [ "$failed" -eq 0 ]
