# shellcheck shell=bash
# A forest of tenants that are due, and what has to be true of it after its purge
# was interrupted. Sourced by test.sh, after checks.sh.

forest_users=40       # of each tree,
forest_credentials=10 # which its sub-tenant has
forest_kept=40        # active tenants beside them

operate() { purger --data-dir /var/lib/purger "$@"; }

# metric NAME prints its value.
metric() { curl -fsS http://127.0.0.1:9464/metrics | awk -v name="$1" '$1 == name { printf "%.0f", $2 }'; }

# forest NAME TREES imports so many due trees of two tenants, NAME-1 and so on,
# and active tenants, NAME-kept-1 and so on.
forest() {
	awk -v name="$1" -v trees="$2" -v users="$forest_users" -v credentials="$forest_credentials" -v kept="$forest_kept" 'BEGIN {
		due = "\"status\":\"disabled\",\"disabledAt\":\"2020-01-01T00:00:00.000Z\",\"purgeAfterDays\":30"
		for (i = 1; i <= trees; i++) {
			id = name "-" i
			printf "{\"type\":\"tenant\",\"id\":\"%s\",\"parentId\":\"\",%s}\n", id, due
			printf "{\"type\":\"tenant\",\"id\":\"%s-sub\",\"parentId\":\"%s\",\"status\":\"active\"}\n", id, id
			for (j = 0; j < users; j++) printf "{\"type\":\"user\",\"tenantId\":\"%s\",\"id\":\"u%d\",\"data\":{\"mail\":\"u%d@example.com\"}}\n", id, j, j
			for (j = 0; j < credentials; j++) printf "{\"type\":\"credential\",\"tenantId\":\"%s-sub\",\"id\":\"c%d\"}\n", id, j
		}
		for (i = 1; i <= kept; i++) printf "{\"type\":\"tenant\",\"id\":\"%s-kept-%d\",\"parentId\":\"\",\"status\":\"active\"}\n", name, i
	}' | operate import - >/dev/null
	operate status -o json | jq -e --argjson trees "$2" '.stats.due == $trees' >/dev/null
}

# deactivate_all NAME deactivates NAME-kept-1 and so on until that fails, and
# notes what was acknowledged in the file NAME.acknowledged.
deactivate_all() {
	local i
	: >"$1.acknowledged"
	for ((i = 1; i <= forest_kept; i++)); do
		operate tenant deactivate "$1-kept-$i" >/dev/null 2>&1 || return 0
		echo "$1-kept-$i" >>"$1.acknowledged"
	done
}

# begin_purge NAME TREES has the forest purged because of a signal, while others
# deactivate tenants, and returns in the midst of it.
begin_purge() {
	local before deleted
	forest "$1" "$2"
	before=$(metric 'purger_tenants{status="deleted"}')
	deactivate_all "$1" &
	deactivator=$!
	eventually test -s "$1.acknowledged"
	systemctl kill -s USR1 purger
	for (( ; ; )); do
		deleted=$(($(metric 'purger_tenants{status="deleted"}') - before))
		if [ "$deleted" -gt 0 ]; then break; fi
	done
	[ "$deleted" -lt "$2" ] # half of the tenants
}

# purged_exactly NAME TREES: the forest is gone, partly before the interruption
# and partly after, each receipt tells what there was, what was acknowledged is
# there, and nothing else is missing.
purged_exactly() {
	local name=$1 trees=$2 receipts=/tmp/receipts
	eventually due_is 0
	wait "$deactivator"
	curl -fsS --unix-socket /var/lib/purger/purger.sock "http://purger/api/v1/receipts/$name-[1-$trees]" |
		jq -s --argjson users "$forest_users" --argjson credentials "$forest_credentials" '{
			all: length,
			exact: map(select(.countsExact and .planned == .deleted and .deleted == {users: $users, credentials: $credentials, apiKeys: 0, oauthClients: 0, subTenants: 1}
				and (.remaining | add) == 0 and (.tenants | length) == 2)) | length,
			before: map(select(.trigger == "signal")) | length,
			after: map(select(.trigger == "startup")) | length,
		}' >$receipts
	jq -e --argjson trees "$trees" '.all == $trees and .exact == $trees and .before > 0 and .after > 0 and .before + .after == $trees' $receipts >/dev/null || {
		cat $receipts && return 1
	}
	operate tenant list --status disabled -o json | jq -r '.[].id' | sort >/tmp/disabled
	[ -s "$name.acknowledged" ]
	[ "$(sort "$name.acknowledged" | comm -23 - /tmp/disabled)" = '' ]
	[ "$(operate tenant list -o json | jq --arg name "$name-kept-" 'map(select(.id | startswith($name))) | length')" = "$forest_kept" ]
	operate store check >/dev/null
	operate audit verify >/dev/null
	check_that "   $(jq -r '"\(.before) trees purged before, \(.after) after"' $receipts), $(wc -l <"$name.acknowledged") deactivations acknowledged"
}

due_is() { [ "$(operate status -o json 2>/dev/null | jq '.stats.due + .stats.tenants.purging')" = "$1" ]; }

# memory_peak prints the most bytes that the unit's control group had, nothing
# where the kernel does not count them.
memory_peak() {
	local group file
	group=$(show ControlGroup)
	for file in "/sys/fs/cgroup$group/memory.peak" "/sys/fs/cgroup/memory$group/memory.max_usage_in_bytes"; do
		if [ -e "$file" ]; then cat "$file"; fi
	done
}
