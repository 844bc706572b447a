#!/bin/sh
# Installs what the tests need and a bare machine may lack. Needs root for the
# packages that are missing, nothing where all of them are there.
set -eu
missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need java default-jre-headless
need mvn maven
need python3 python3
need gcc gcc
need promtool prometheus
need chromium chromium
python3 -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
	apt-get update -qq
	# shellcheck disable=SC2086 -- a list of names
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi
