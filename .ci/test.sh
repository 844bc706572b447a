#!/usr/bin/env bash
# The everyday tests, group by group: a group that fails does not keep the next
# from running, and the status says it in the end. Temporary files go to a folder
# of their own that is removed whatever happens.
#   test.sh [OUTCOMES]    keeps what became of each test in that file
set -u
cd "$(dirname "$0")/.."
go=${GO:-go}
race=
command -v "${CC:-cc}" >/dev/null 2>&1 && race=-race

work=$(mktemp -d "${TMPDIR:-/tmp}/archflow-test.XXXXXX")
# What was started has the group of this script and goes with it.
clean() {
	trap '' INT TERM HUP
	kill -TERM $(jobs -p) 2>/dev/null
	wait
	chmod -R u+w "$work" 2>/dev/null
	rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP
outcomes=${1:-$work/outcomes}
: >"$outcomes"
"$go" build -o "$work/report" ./.ci/report || exit 1
mkdir "$work/tmp"

status=0
began=$(date +%s)
group() {
	local cgo=$1
	shift
	TMPDIR=$work/tmp CGO_ENABLED=$cgo "$go" test -json -tags assert -timeout 20m "$@" >"$work/pipe" 2>&1 &
	"$work/report" "$outcomes" <"$work/pipe" || status=1
	wait $! || status=1
}
mkfifo "$work/pipe"

# Where goroutines meet the detector of data races looks on; the rest computes on
# one and would only be slower.
meeting='/(ops|pipeline|schemas|stages|internal)(/|$)'
packages=$("$go" list ./...) || exit 1
here=$(printf '%s\n' "$packages" | grep -E "$meeting")
alone=$(printf '%s\n' "$packages" | grep -vE "$meeting" | grep -v /sinks)
with=0
[ -n "$race" ] && with=1
# Runs of a simulated world from every point at which it can break: hundreds each, of
# code on which the detector looks in the other tests.
again='^Test(TrainerCrashes|TrainerKilled|WorkerCrashes|BrokerRefuses)'
# shellcheck disable=SC2086 -- lists of packages
{
	group $with $race ${RUN:-} -skip "^TestEndToEnd|$again" $here
	group 0 -run "$again" ${RUN:-} -skip '^TestEndToEnd' ./pipeline
	group 0 ${RUN:-} -skip '^TestEndToEnd' $alone
	group 0 ${RUN:-} ./sinks/...
	if [ -n "$race" ]; then
		group 1 -race ./encoders -run '^TestCores'
		group 1 -race ./sinks -run '^Test(Predictions|Floor|Two)' -skip '/real'
	fi
}

"$work/report" -sum "$outcomes"
echo "It took $((($(date +%s) - began) / 60)) min $((($(date +%s) - began) % 60)) s."
sh .ci/left-out.sh
exit $status
