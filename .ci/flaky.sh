#!/usr/bin/env bash
# Runs the everyday tests again and again, as they are: RUNS (20) times by
# themselves and LOADED (5) times beside LOAD (8) processes that compute, and
# counts how often each test failed. PACKAGES and TESTS narrow it down.
set -um # every job is a group of processes, and ends with what it has started
cd "$(dirname "$0")/.."
go=${GO:-go}
work=$(mktemp -d "${TMPDIR:-/tmp}/archflow-flaky.XXXXXX")
clean() {
	trap '' INT TERM HUP
	for group in $(jobs -p); do kill -TERM -- "-$group" 2>/dev/null; done
	wait 2>/dev/null
	chmod -R u+w "$work" 2>/dev/null
	rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP
"$go" build -o "$work/report" ./.ci/report || exit 1

again() {
	if [ -n "${PACKAGES:-}${TESTS:-}" ]; then
		mkdir -p "$work/tmp"
		# shellcheck disable=SC2086 -- a list of packages
		TMPDIR=$work/tmp "$go" test -json -count=1 -tags assert -timeout 20m -skip '^TestEndToEnd' -run "${TESTS:-.}" ${PACKAGES:-./...} 2>&1 | "$work/report" "$1" >"$1.log" &
	else
		RUN=-count=1 TMPDIR=$work .ci/test.sh "$1" >"$1.log" 2>&1 &
	fi
	wait $! || { grep -B1 -A12 -e '--- FAIL' "$1.log" || tail -5 "$1.log"; }
}

for run in $(seq "${RUNS:-20}"); do
	echo "run $run of ${RUNS:-20}, by itself ($(date -u +%H:%M:%S))"
	again "$work/quiet.$run"
done
for _ in $(seq "${LOAD:-8}"); do
	(while :; do :; done) &
done
for run in $(seq "${LOADED:-5}"); do
	echo "run $run of ${LOADED:-5}, beside a load of ${LOAD:-8} ($(date -u +%H:%M:%S))"
	again "$work/loaded.$run"
done
status=0
for kind in quiet loaded; do
	ls "$work/$kind".* >/dev/null 2>&1 || continue
	echo "== $kind"
	"$work/report" -flaky $(ls "$work/$kind".* | grep -v '\.log$') || status=1
done
exit $status
