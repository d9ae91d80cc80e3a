#!/usr/bin/env bash
# An example of a program for the command target: it removes the files of a
# tenant. Copy it and change what lists and removes to speak to your own system.
#
# Each tenant has a folder tenant-ID below FILES_ROOT, and in it one for each kind.
# It needs jq.
#
#	targets:
#	  - name: files
#	    type: command
#	    kinds: [user, credential]
#	    command: /usr/local/lib/purger/command-example.sh
#	    env: {FILES_ROOT: /srv/files, PATH: /usr/bin:/bin}
#	    user: files
#
# The request comes on standard input, and the answer goes to standard output;
# exit codes: 0 done, 75 try again later, 77 forbidden, anything else failed.
# What is written to standard error goes to purger's log.
set -euo pipefail

deleted=0 files=()

# later ends the run with a request to try again; what was deleted until then
# counts.
later() {
	printf '{"version":1,"deleted":%d,"error":"%s"}\n' "$deleted" "$1"
	exit 75
}

# list prints the resources of the tenant and kind, each ended by a zero byte. A
# folder that is not there is a tenant without resources.
list() {
	[ ! -d "$folder" ] || find "$folder" -mindepth 1 -maxdepth 1 -type f -print0
}

# resources puts them into files. A list without its end is one that failed, and
# not a short one.
resources() {
	mapfile -d '' -t files < <(list && printf 'end\0')
	if [ "${#files[@]}" -eq 0 ] || [ "${files[-1]}" != end ]; then later "the files cannot be listed"; fi
	unset 'files[-1]'
}

# One line each. An id is data: it may have dots, slashes or quotes in it, and
# must not lead to another tenant.
fields=$(jq -er '.version, .operation, (.tenantId // "" | @uri), .kind // "", .limit // 0')
{ read -r version && read -r operation && read -r tenant && read -r kind && read -r limit; } <<<"$fields"
[ "$version" = 1 ] || { echo "unknown version of the request" >&2; exit 64; }
: "${FILES_ROOT:?set it in env}"
# A root that is not there is a disk that is not mounted, and no proof of anything.
[ -d "$FILES_ROOT" ] || later "the root is not there"
folder=$FILES_ROOT/tenant-$tenant/$kind

case $operation in
check)
	printf '{"version":1}\n'
	;;
count)
	resources
	printf '{"version":1,"count":%d}\n' "${#files[@]}"
	;;
purge)
	more=false
	resources
	for file in "${files[@]}"; do
		if [ "$deleted" -ge "$limit" ]; then
			more=true
			break
		fi
		# One that somebody else removed meanwhile is no error, and not ours.
		if rm -- "$file" 2>/dev/null; then
			deleted=$((deleted + 1))
		elif [ -e "$file" ]; then
			later "a file cannot be removed"
		fi
	done
	printf '{"version":1,"deleted":%d,"more":%s}\n' "$deleted" "$more"
	;;
*)
	echo "unknown operation" >&2
	exit 64
	;;
esac
