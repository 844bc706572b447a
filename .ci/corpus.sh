#!/bin/sh
# corpus.sh PACKAGE FUZZ: keeps, of what fuzzing has found, what reaches code that
# neither the seeds nor a smaller input reach, at most 100 of them, in the
# package's testdata/fuzz.
set -e
go=${GO:-go}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
name=$($go list "$1")
kept=$($go list -f '{{.Dir}}' "$1")/testdata/fuzz/$2
found=$($go env GOCACHE)/fuzz/$name/$2
$go test -c -cover -covermode set -coverpkg "$name" -o "$work/test" "$1"
in=$work/testdata/fuzz/$2
mkdir -p "$in"
cd "$work"

# new INPUTS FUZZ: runs inputs and lists the blocks that they are the first to
# reach in the file more.
new() {
	./test -test.run "^$2\$/$1" -test.coverprofile profile >/dev/null 2>&1 || return 1
	awk 'FILENAME == "reached" { had[$1] = 1; next } $3 > 0 && !had[$1] { print $1 }' reached profile >more
}

: >reached
new '^seed#' "$2" && cat more >>reached
count=0
for input in $(ls -Sr "$found"/* "$kept"/* 2>/dev/null); do
	file=$(basename "$input")
	cp "$input" "$in/$file"
	if [ $count -lt 100 ] && new "^$file\$" "$2" && [ -s more ]; then
		cat more >>reached
		count=$((count + 1))
	else
		rm "$in/$file"
	fi
done
rm -rf "$kept"
if [ $count -gt 0 ]; then
	mkdir -p "$(dirname "$kept")"
	mv "$in" "$kept"
fi
echo "$2: $count inputs kept"
