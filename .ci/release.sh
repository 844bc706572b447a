#!/usr/bin/env bash
# release.sh VERSION: what a release consists of, in dist/: a binary for each
# platform with the licence and the README, checksums, the modules that are in the
# binaries (SBOM, CycloneDX), and the part of the changelog.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?release.sh VERSION, such as 0.2.0}
go=${GO:-go}
rm -rf dist
mkdir dist
for platform in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do
	os=${platform%/*} arch=${platform#*/}
	name=archflow_${version}_${os}_${arch}
	mkdir "dist/$name"
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch "$go" build -buildvcs=true -trimpath -tags grpcnotrace -ldflags "-s -w -X main.version=$version" -o "dist/$name/archflow" ./cmd/archflow
	cp LICENSE README.md CHANGELOG.md "dist/$name"
	[ "$platform" != linux/amd64 ] || "$go" version -m "dist/$name/archflow" >dist/modules
	# Sorted, without owners and times, so that the same source gives the same file.
	tar -C dist --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -czf "dist/$name.tar.gz" "$name"
	rm -rf "dist/$name"
done
awk -v version="$version" '
	BEGIN {
		printf "{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.5\",\"version\":1,"
		printf "\"metadata\":{\"component\":{\"type\":\"application\",\"name\":\"archflow\",\"version\":\"%s\"}},\"components\":[", version
	}
	$1 == "dep" {
		printf "%s{\"type\":\"library\",\"name\":\"%s\",\"version\":\"%s\",\"purl\":\"pkg:golang/%s@%s\"}", comma, $2, $3, $2, $3
		comma = ","
	}
	END { print "]}" }' dist/modules >"dist/archflow_${version}_sbom.cdx.json"
rm dist/modules
(cd dist && sha256sum archflow_* >"archflow_${version}_sha256sums.txt")
# The part of this version, or what is not released yet.
awk -v head="## $version" '
	/^## / { if (found) exit; found = index($0, head) == 1 || (!any && $2 == "Unreleased"); any = 1; next }
	found' CHANGELOG.md >dist/NOTES.md
ls -l dist
