#!/usr/bin/env bash
# Interrupts `make test` in every way there is and looks at what is left: no file in
# the temporary folder and no process. In place of Go stands a script whose tests
# write files until they are killed.
set -um
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cat >"$place/go" <<'GO'
#!/bin/sh
case $1 in
build) printf '#!/bin/sh\ncat >/dev/null\n' >"$3" && chmod +x "$3" ;;
list) echo archflow/schemas ;;
test)
	sh -c 'while :; do echo x >>"$TMPDIR/written.$$"; sleep 0.1; done' interrupted-test &
	wait
	;;
esac
GO
chmod +x "$place/go"
mkdir "$place/tmp"

left() {
	ls -A "$place/tmp"
	pgrep -f interrupted-test
}
status=0
for way in INT TERM "KILL, of make alone" "KILL, of make and the script"; do
	TMPDIR=$place/tmp env --default-signal=INT make -o tools test GO="$place/go" >"$place/said" 2>&1 &
	make=$!
	until ls "$place"/tmp/*/tmp/written.* >/dev/null 2>&1; do sleep 0.1; done
	case $way in
	INT) kill -INT -- -"$make" ;; # as a terminal does
	TERM) kill -TERM "$make" ;;
	*alone) kill -KILL "$make" ;;
	*script) kill -KILL "$make" $(cat "$place"/tmp/*/pid) ;;
	esac
	wait "$make" 2>/dev/null
	for _ in $(seq 50); do
		[ -n "$(left)" ] || break
		sleep 0.1
	done
	if [ -n "$(left)" ]; then
		echo "SIG$way leaves $(left)"
		status=1
	else
		echo "SIG$way leaves nothing"
	fi
done
exit $status
