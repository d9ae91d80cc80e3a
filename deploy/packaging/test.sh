#!/usr/bin/env bash
# Builds the packages, twice, looks into them, and installs, upgrades, removes and
# purges them under a real systemd, in the box of deploy/systemd/box.sh. Needs
# root, lintian and rpm.
#
#   deploy/packaging/test.sh
set -euo pipefail
shopt -s inherit_errexit
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

say() { printf '%s\n' "$*"; }
fail() {
	printf '%s\n' "$@" >&2
	exit 1
}

# quietly COMMAND... shows what it printed only when it fails.
quietly() { "$@" >"$scratch/log" 2>&1 || fail "failed: $*" "$(cat "$scratch/log")"; }

# contents PACKAGE DIRECTORY unpacks it.
contents() {
	mkdir "$2"
	case $1 in
	*.deb) dpkg-deb -x "$1" "$2" ;;
	*.rpm) rpm2archive - <"$1" | tar -xz -C "$2" ;;
	esac
}

# The tree as a source archive would hold it: without git, other times.
mkdir "$scratch/source"
git ls-files -z --cached --others --exclude-standard |
	while IFS= read -r -d '' file; do if [ -e "$file" ]; then printf '%s\0' "$file"; fi; done |
	tar -c --null --files-from=- | tar -x -m -C "$scratch/source"

quietly env DIST="$scratch/dist" deploy/packaging/build.sh
debs=("$scratch"/dist/*.deb)
rpms=("$scratch"/dist/*.rpm)
[ "${#debs[@]} ${#rpms[@]}" = '2 2' ] || fail "packages:" "$(ls "$scratch/dist")"

contents "$scratch"/dist/*_amd64.deb "$scratch/amd64"
contents "$scratch"/dist/*_arm64.deb "$scratch/arm64"
contents "$scratch"/dist/*.x86_64.rpm "$scratch/x86_64"
contents "$scratch"/dist/*.aarch64.rpm "$scratch/aarch64"
native=$(dpkg --print-architecture)
version=$("$scratch/$native/usr/bin/purger" version -o json | sed -n 's/^ *"version": "\(.*\)",$/\1/p')
for arch in amd64 arm64; do
	grep -q "GOARCH=$arch\$" <<<"$(go version -m "$scratch/$arch/usr/bin/purger")" || fail "the binary for $arch is for another machine"
	# ldd fails on what is not dynamic, and that is what is wanted.
	if ldd "$scratch/$arch/usr/bin/purger" >/dev/null 2>&1; then fail "the binary for $arch is not static"; fi
	if grep -aqF -e "$root/" -e "$(go env GOMODCACHE)" "$scratch/$arch/usr/bin/purger"; then fail "the binary for $arch tells where it was built"; fi
done
cmp "$scratch/amd64/usr/bin/purger" "$scratch/x86_64/usr/bin/purger"
cmp "$scratch/arm64/usr/bin/purger" "$scratch/aarch64/usr/bin/purger"
say "packages of $version: static binaries for amd64 and arm64"

(
	umask 077
	cd "$scratch/source"
	quietly env TZ=Asia/Tokyo DIST="$scratch/again" SOURCE_DATE_EPOCH="$(git -C "$root" log -1 --format=%ct)" \
		unshare --uts sh -c 'hostname elsewhere && exec "$@"' sh deploy/packaging/build.sh "$version"
)
diff -r "$scratch/dist" "$scratch/again" || fail "the packages are not reproducible"
say "built again elsewhere, they have the same bytes"

# Bytes of machine code happen to look like misspelt words.
quietly lintian --suppress-tags spelling-error-in-binary --allow-root --display-info --pedantic --fail-on error,warning,info,pedantic "${debs[@]}"
quietly rpm --checksig "${rpms[@]}"
for package in "${rpms[@]}"; do
	scripts=$(rpm -qp --scripts "$package")
	for name in preinstall postinstall preuninstall postuninstall; do
		grep -q "^$name scriptlet (using /bin/sh):" <<<"$scripts" || fail "$package has no $name"
	done
	if grep -q '@' <<<"$scripts"; then fail "$package: a script is not filled in"; fi
done
diff <(rpm -qp --qf '[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME} %{FILEGROUPNAME}\n]' "$scratch"/dist/*.x86_64.rpm) \
	<(rpm -qp --qf '[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME} %{FILEGROUPNAME}\n]' "$scratch"/dist/*.aarch64.rpm)
say "lintian and rpm find nothing wrong in them"

# What a later release brings: another configuration file, among others.
printf '\n# The end.\n' >>"$scratch/source/deploy/purger.yaml"
(
	cd "$scratch/source"
	quietly env DIST="$scratch/newer" SOURCE_DATE_EPOCH=1 ARCHS="$native" deploy/packaging/build.sh v99.0.0
)
deploy/systemd/box.sh --size 1g \
	--share "$root/deploy" --share "$root/README.md" --share "$scratch/dist" --share "$scratch/newer" \
	bash deploy/packaging/checks.sh "$version"
