#!/usr/bin/env bash
# Builds the Debian and the RPM packages. The same source makes the same bytes,
# wherever and whenever it is built, with the same version of Go.
#
#   deploy/packaging/build.sh [VERSION]
#
#   VERSION            v1.2.3, v1.2.3-rc1 or as git describe prints it, which is asked
#                      unless it is given
#   DIST               where the packages go; dist/ of the repository unless set
#   ARCHS              "amd64 arm64" unless set
#   SOURCE_DATE_EPOCH  the time in the packages, in seconds since 1970; that of the
#                      last commit unless set
set -euo pipefail
shopt -s inherit_errexit
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
dist=${DIST:-dist}
read -ra archs <<<"${ARCHS:-amd64 arm64}"

# What is set for other builds is not for this one.
unset GOOS GOARCH GOEXPERIMENT GODEBUG
export GOFLAGS=-mod=readonly GOWORK=off CGO_ENABLED=0 GOAMD64=v1 GOARM64=v8.0
export LC_ALL=C TZ=UTC

fail() {
	printf 'build.sh: %s\n' "$@" >&2
	exit 1
}

# described prints the version that git knows: v1.2.3-4-g0123abc, four commits
# after v1.2.3. Before the first tag all commits come after v0.0.0.
described() {
	git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null && return
	printf 'v0.0.0-%s-g%s\n' "$(git rev-list --count HEAD)" "$(git describe --always --dirty --exclude '*')"
}

# package_version VERSION prints it in the form that both dpkg and rpm sort
# rightly: a candidate before its release, what is built from later commits after it.
package_version() {
	local version='^v?([0-9]+\.[0-9]+\.[0-9]+)(-([a-z][a-z0-9.]*))?(-([0-9]+)-g([0-9a-f]+))?(-dirty)?$'
	[[ $1 =~ $version ]] || fail "version $1; want one such as v1.2.3, v1.2.3-rc1 or v1.2.3-4-g0123abc"
	printf '%s%s%s%s\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[3]:+~${BASH_REMATCH[3]}}" \
		"${BASH_REMATCH[5]:++${BASH_REMATCH[5]}.g${BASH_REMATCH[6]}}" "${BASH_REMATCH[7]:++dirty}"
}

# compile ARCH FILE
compile() {
	GOARCH=$1 go build -trimpath -buildvcs=false -o "$2" \
		-ldflags "-s -w -buildid= -X main.version=$version" ./cmd/purger
}

# copyright ARCH prints the terms of everything that is linked into the binary.
copyright() {
	local path release directory file found
	printf 'purger: %s\nIts source holds no licence.\n\n' https://github.com/tenantpurge/purger
	printf 'The binary contains the libraries below, each under the terms that follow its name.\n'
	printf '\n== The standard library of %s\n\n' "$(go env GOVERSION)"
	cat "$(go env GOROOT)/LICENSE" || fail "this Go has no LICENSE in $(go env GOROOT)"
	GOARCH=$1 go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/purger |
		sort -u | while read -r path release directory; do
		found=
		for file in "$directory"/{LICENSE,LICENCE,COPYING,NOTICE}*; do
			[ -f "$file" ] || continue
			found=yes
			printf '\n== %s %s, %s\n\n' "$path" "$release" "${file##*/}"
			cat "$file"
		done
		[ -n "$found" ] || fail "$path has no licence: it cannot be distributed"
	done
}

# changelog prints the entry of this version in the form of Debian.
changelog() {
	printf 'purger (%s-1) unstable; urgency=medium\n\n  * Built from %s.\n\n -- %s  %s\n' "$package_version" "$version" \
		"$(sed -n 's/^maintainer: //p' deploy/packaging/nfpm.yaml)" "$(date -R -d "@$SOURCE_DATE_EPOCH")"
}

if [ "$#" -gt 1 ]; then fail "usage: deploy/packaging/build.sh [VERSION]"; fi
version=${1:-$(described)} || fail "there is no git repository to ask for the version: give it"
package_version=$(package_version "$version")
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} || fail "set SOURCE_DATE_EPOCH, there is no git repository to ask"
export SOURCE_DATE_EPOCH

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$dist" "$stage"/{man,completion}
dist=$(cd "$dist" && pwd)
go -C deploy/packaging build -o "$stage/" tool

# What is the same in all packages, written by purger itself.
compile "$(go env GOHOSTARCH)" "$stage/purger"
"$stage/purger" --config deploy/purger.yaml man "$stage/man"
gzip -9n "$stage"/man/*
for shell in bash fish zsh; do "$stage/purger" completion "$shell" >"$stage/completion/purger.$shell"; done
changelog | gzip -9n >"$stage/changelog.Debian.gz"
sed -e '/^@SYSUSERS@$/{r deploy/systemd/purger.sysusers.conf' -e 'd}' deploy/packaging/rpm/pre >"$stage/rpm-pre"
cp README.md "$stage/"
# The packaged file names the directory of the unit, so that commands with --config find the store.
sed 's|^dataDir: .*|dataDir: /var/lib/purger|' deploy/purger.yaml >"$stage/purger.yaml"
grep -qx 'dataDir: /var/lib/purger' "$stage/purger.yaml" || fail "deploy/purger.yaml has no dataDir"
ln -s "$root/deploy" "$stage/deploy"

for arch in "${archs[@]}"; do
	compile "$arch" "$stage/purger"
	copyright "$arch" >"$stage/copyright"
	for packager in deb rpm; do
		(cd "$stage" && ARCH=$arch PACKAGE_VERSION=$package_version ./nfpm package \
			--config deploy/packaging/nfpm.yaml --packager "$packager" --target "$dist/")
	done
done
