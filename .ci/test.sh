#!/usr/bin/env bash
# The everyday tests: every package is a job, the longest first, and one job more
# than there are cores runs at a time, because tests also wait. A job that fails
# does not keep the others from running, and the status says it in the end.
# Temporary files go to a folder of their own, which is removed whatever happens.
#   test.sh [OUTCOMES]    keeps what became of each test in that file
set -umo pipefail # every job is a group of processes, and ends with what it has started
cd "$(dirname "$0")/.."
go=${GO:-go}
temporary=${TMPDIR:-/tmp}
race=
command -v "${CC:-cc}" >/dev/null 2>&1 && race=-race

work=$(mktemp -d "$temporary/archflow-test.XXXXXX")
echo $$ >"$work/pid"
remove() {
	for group in $(cat "$work/groups" 2>/dev/null); do kill -KILL -- "-$group" 2>/dev/null; done
	chmod -R u+w "$work" 2>/dev/null
	rm -rf "$work"
}
clean() {
	trap '' INT TERM HUP
	for group in $(jobs -p); do kill -KILL -- "-$group" 2>/dev/null; done
	wait 2>/dev/null
	remove
}
trap clean EXIT
trap 'exit 130' INT TERM HUP
# make, or this script, may be killed without a word.
(
	trap - EXIT
	while kill -0 $$ 2>/dev/null && { [ -z "${MAKELEVEL:-}" ] || kill -0 $PPID 2>/dev/null; }; do sleep 1; done
	kill -TERM $$ 2>/dev/null
	sleep 2 # it removes everything itself, and this too, unless it is gone
	remove
) &

outcomes=${1:-$work/outcomes}
: >"$outcomes"
began=$(date +%s)
mkdir "$work/tmp"
export TMPDIR=$work/tmp # of Go's own files too
"$go" build -o "$work/report" ./.ci/report || exit 1

# job NAME CGO ARGUMENTS...: tests, whose outcomes go to a file of their own.
job() {
	local name=$1 cgo=$2
	shift 2
	CGO_ENABLED=$cgo "$go" test -json -tags assert -timeout 20m ${RUN:-} "$@" 2>&1 |
		"$work/report" "$work/outcomes.$name" || : >"$work/failed"
}

workers=$(($(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 1))
running=()
start() {
	while
		left=()
		for p in ${running[@]+"${running[@]}"}; do kill -0 "$p" 2>/dev/null && left+=("$p"); done
		running=(${left[@]+"${left[@]}"})
		[ ${#running[@]} -ge $workers ]
	do sleep 0.2; done
	job "$@" &
	running+=($!)
	echo $! >>"$work/groups"
}

# Where goroutines meet the detector of data races looks on; the rest computes on
# one and would only be slower. Runs of a simulated world from every point at which
# it can break are hundreds each, of code on which it looks in the other tests.
again='^Test(TrainerCrashes|TrainerKilled|WorkerCrashes|BrokerRefuses|RefillCrashes)'
packages=$("$go" list ./...) || exit 1
pick() { printf '%s\n' "$packages" | grep -E "$1" | grep -vE "$2"; }
meeting=$(pick '/(ops|schemas|internal|pipeline/.*)(/|$)' '/mutation$')
computing=$(pick . '/(sinks|cmd/archflow|encoders|encoders/learner|pipeline)$' | grep -vxF "$meeting")
with=0
[ -n "$race" ] && with=1

# Compile in one go what the jobs share; what fails is said by the job that needs it.
# shellcheck disable=SC2086 -- lists of packages
{
	CGO_ENABLED=0 "$go" list -export -test -deps -tags assert ./... >/dev/null 2>&1 &
	wait $!
	[ -z "$race" ] || { CGO_ENABLED=1 "$go" list -export -test -deps -tags assert -race $meeting ./pipeline >/dev/null 2>&1 & wait $!; }

	start meeting $with $race -p 1 $meeting
	start sinks 0 ./sinks
	start pipeline $with $race -skip "$again" ./pipeline
	start again 0 -run "$again" ./pipeline
	start learner 0 ./encoders/learner
	start encoders 0 ./encoders
	start cmd 0 -skip '^TestEndToEnd' ./cmd/archflow
	start computing 0 -p 1 $computing
	if [ -n "$race" ]; then
		start sinks-race 1 -race ./sinks -run '^Test(Predictions|Two)' -skip '/real' -args -rapid.checks=10
		start encoders-race 1 -race ./encoders -run '^TestCores'
	fi
}
wait "${running[@]}"

cat "$work"/outcomes.* >>"$outcomes"
"$work/report" -sum "$outcomes"
echo "It took $((($(date +%s) - began) / 60)) min $((($(date +%s) - began) % 60)) s."
sh .ci/left-out.sh
[ ! -e "$work/failed" ]
