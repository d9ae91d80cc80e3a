# shellcheck shell=bash
# What the checks share that run as a service of box.sh's systemd. Sourced:
# . /share/deploy/systemd/checks.sh. A command that fails ends the checks, with
# what the unit said last.
set -Eeuo pipefail
trap 'complain $? "$BASH_COMMAND"' ERR

# Which unit it is about; a script may name another one.
unit=purger

# complain ends the checks with the status of the command that failed.
complain() {
	trap - ERR
	printf 'FAILED with %s: %s\n' "$1" "$2"
	journalctl -u "$unit" --no-pager -o cat | tail -n 30
	systemctl status --no-pager "$unit" || true
	exit "$1"
}

# check_that TEXT says what was found to hold.
check_that() { printf '%s\n' "$*"; }

# refuse COMMAND... succeeds if the command fails; "if" hides it from the trap.
refuse() {
	if "$@" 2>/dev/null; then
		printf 'should have failed: %s\n' "$*"
		return 1
	fi
}

# as USER COMMAND... runs it with the user's groups.
as() {
	local user=$1
	shift
	setpriv --reuid "$user" --regid "$user" --init-groups "$@"
}

# eventually COMMAND... waits until it succeeds, 20 s at the most.
eventually() {
	local tries=0
	until "$@"; do
		tries=$((tries + 1))
		if [ "$tries" -gt 200 ]; then
			printf 'never came true: %s\n' "$*"
			return 1
		fi
		sleep 0.1
	done
}

# show PROPERTY prints it, of the unit.
show() { systemctl show -p "$1" --value "$unit"; }

# is NAME=VALUE... holds of the unit's properties.
is() {
	local want
	for want in "$@"; do
		[ "$(show "${want%%=*}")" = "${want#*=}" ] || return 1
	done
}

main_pid() { show MainPID; }

# restarted N: systemd restarted it so often, and it is up again.
restarted() { is NRestarts="$1" ActiveState=active; }

# readme_block NAME [FILE] prints the block of README.md that is marked with
# "test: elsewhere NAME".
readme_block() {
	awk -v mark="<!-- test: elsewhere $1 -->" '
		$0 == mark          { marked = 1; next }
		marked && /^```sh$/ { inside = 1; next }
		inside && /^```$/   { found = 1; exit }
		inside
		END { exit !found }
	' "${2:-README.md}"
}
