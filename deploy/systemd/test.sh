#!/usr/bin/env bash
# Runs the unit under a real systemd, in the box of box.sh. Needs root.
#
#   deploy/systemd/test.sh PURGER TESTS    with the binary to test, and the tests of
#                                          cmd/purger, built by go test -c
set -euo pipefail

memory_bound=$((256 << 20)) # MemoryMax of the unit

# inside follows README, then looks after each thing that the unit promises.
inside() {
	# shellcheck source=deploy/systemd/checks.sh
	. /share/deploy/systemd/checks.sh
	# shellcheck source=deploy/systemd/forest.sh
	. /share/deploy/systemd/forest.sh
	# shellcheck source=deploy/systemd/external.sh
	. /share/deploy/systemd/external.sh
	# Nobody has to ask for rights here, and the binary was built before.
	sudo() { if [ "$1" = -u ]; then runuser -u "$2" -- "${@:3}"; else "$@"; fi; }
	go() { cp /share/purger.bin purger; }
	export -f sudo go
	useradd --create-home alice
	useradd --create-home bob
	export USER=alice HOME=/root # as whom README is followed

	make_database >/tmp/database.log 2>&1 &
	database_maker=$!
	installs_and_starts
	is_operated_by_its_group
	sees_only_what_it_needs
	restores_a_backup
	# Nothing happens by itself from here on, and systemd does not wait for long.
	mkdir -p /run/systemd/system/purger.service.d
	printf '[Unit]\nStartLimitIntervalSec=0\n[Service]\nWatchdogSec=2s\nRestartSec=100ms\nMemoryMax=%s\n' "$memory_bound" \
		>/run/systemd/system/purger.service.d/quick.conf
	systemctl daemon-reload
	configure
	systemctl restart purger
	tells_what_it_does
	survives_an_early_hangup
	logs_with_priorities
	purges_on_a_signal
	reloads
	goes_on_after_an_interruption
	serves_with_a_credential
	wait "$database_maker" || { cat /tmp/database.log && return 1; }
	reaches_other_systems
	purges_in_other_systems
	reaches_nothing_else
	ends_for_good_when_it_must
	stops
}

installs_and_starts() {
	readme_block by-hand >install.sh
	bash -euo pipefail install.sh
	is ActiveState=active SubState=running
	curl -fsS http://127.0.0.1:9464/-/ready >/dev/null
	check_that 'README: installs and starts'
	readme_block operate >operate.sh
	bash -euo pipefail operate.sh >/dev/null
	eventually passed signal
	eventually logged -p info 'the configuration was loaded again'
	check_that 'README: SIGUSR1 begins a pass, reload works'
}

is_operated_by_its_group() {
	[ "$(stat -c '%U %G %a' /var/lib/purger)" = 'purger purger 750' ]
	[ "$(stat -c '%U %G %a' /var/lib/purger/purger.db)" = 'purger purger 600' ]
	[ "$(stat -c '%U %G %a' /var/lib/purger/purger.sock)" = 'purger purger 660' ]
	chmod 700 /home/alice
	echo '{"type":"tenant","id":"acme","parentId":"","status":"active"}' >/home/alice/tenants.ndjson
	as alice purger --data-dir /var/lib/purger import /home/alice/tenants.ndjson >/dev/null
	as alice purger --data-dir /var/lib/purger store backup /home/alice/backup.db >/dev/null
	[ "$(stat -c '%U' /home/alice/backup.db)" = alice ]
	as alice purger --data-dir /var/lib/purger tenant deactivate acme >/dev/null
	operate tenant get acme -o json | jq -e --arg id "uid:$(id -u alice)" '.disabledBy.id == $id and .disabledBy.name == "alice"' >/dev/null
	operate audit list -o json | jq -e --arg id "uid:$(id -u alice)" 'any(.actor == $id and .action == "deactivate")' >/dev/null
	refuse as bob purger --data-dir /var/lib/purger status
	check_that 'the group operates it under its own name and from its own files, others cannot'
}

restores_a_backup() {
	operate store backup backup.db >/dev/null
	operate tenant create newer >/dev/null
	readme_block restore >restore.sh
	bash -euo pipefail restore.sh >/dev/null
	[ "$(stat -c '%U %G %a' /var/lib/purger/purger.db)" = 'purger purger 600' ]
	operate tenant get acme >/dev/null
	refuse operate tenant get newer
	operate status | grep 'paused until it is resumed by .*: restored from a backup' >/dev/null
	operate resume --reason 'it is as it was' >/dev/null
	check_that 'README: a backup is restored, and purges nothing before somebody has looked'
	systemctl stop purger
	operate store compact >/dev/null
	[ "$(stat -c '%U %G %a' /var/lib/purger/purger.db)" = 'purger purger 600' ]
	if as alice purger --data-dir /var/lib/purger status 2>/tmp/said; then return 1; fi
	grep -q 'use sudo -u purger purger' /tmp/said
	systemctl start purger
	check_that 'root compacts the store while the daemon is down, and the daemon starts again'
}

sees_only_what_it_needs() {
	local root
	root=/proc/$(main_pid)/root
	[ "$(cd "$root/" && echo *)" = 'dev etc proc root run sys tmp usr var' ]
	[ "$(cd "$root/" && find root tmp usr var -type f | sort | tr '\n' ' ')" = 'usr/bin/purger var/lib/purger/purger.db var/lib/purger/served-with ' ]
	# An address of this machine that is not loopback's.
	ip address add 192.0.2.1/32 dev lo
	sed -i 's/127\.0\.0\.1:9464/0.0.0.0:9464/; s/insecure: false/insecure: true/' /etc/purger/purger.yaml
	systemctl restart purger
	curl -fsS http://127.0.0.1:9464/-/ready >/dev/null
	if journalctl -b --no-pager | grep 'does not support BPF' >/dev/null; then
		check_that 'left out: this kernel does not filter addresses'
	else
		refuse curl -fsS --max-time 1 http://192.0.2.1:9464/-/ready
		mkdir -p /run/systemd/system/purger.service.d
		printf '[Service]\nIPAddressAllow=192.0.2.0/24\n' >/run/systemd/system/purger.service.d/open.conf
		systemctl daemon-reload
		systemctl restart purger
		curl -fsS --max-time 5 http://192.0.2.1:9464/-/ready >/dev/null
		rm /run/systemd/system/purger.service.d/open.conf
	fi
	ip address delete 192.0.2.1/32 dev lo
	check_that 'it sees its binary, /etc and its data, and the loopback address'
}

# configure LINE... makes the configuration of the checks, with these lines as well.
configure() {
	printf '%s\n' 'purge: {schedule: "0 0 29 2 *", concurrency: 1}' 'limits: {perPass: 0, perDayShare: 0}' \
		'tenants: {protected: [protected]}' "$@" >/etc/purger/purger.yaml
}

tells_what_it_does() {
	eventually says '^[0-9]* tenants?, 0 due, .* next pass 20'
	systemctl stop purger
	exec 9</var/lib/purger/purger.db
	flock 9
	systemctl start --no-block purger
	eventually says '^opening the store in /var/lib/purger$'
	is ActiveState=activating SubState=start
	# Before it is ready: it is done afterwards, and kills nothing.
	kill -HUP "$(main_pid)"
	exec 9<&-
	eventually is ActiveState=active
	eventually says ' next pass 20'
	eventually logged_since_start 'the configuration was loaded again'
	is NRestarts=0 ActiveState=active SubState=running
	check_that 'its status tells what it does, and a SIGHUP before it is ready waits'
}

# A SIGHUP before the program has begun kills it, which systemd takes for clean.
survives_an_early_hangup() {
	cat >/run/systemd/system/purger.service.d/slow.conf <<-'UNIT'
		[Service]
		RootDirectory=
		ExecStart=
		ExecStart=/bin/sh -c 'sleep 1; exec /usr/bin/purger serve --config /etc/purger/purger.yaml --data-dir /var/lib/purger'
	UNIT
	systemctl daemon-reload
	systemctl stop purger
	systemctl start --no-block purger
	eventually is ActiveState=activating SubState=start
	kill -HUP "$(main_pid)"
	eventually restarted 1
	rm /run/systemd/system/purger.service.d/slow.conf
	systemctl daemon-reload
	systemctl restart purger
	check_that 'a SIGHUP before the program has begun does not leave it dead'
}

# The tests' binary logs what the daemon would not, in the daemon's sandbox.
logs_with_priorities() {
	local records=/tmp/records match=(_SYSTEMD_UNIT=records.service _TRANSPORT=journal)
	cp --remove-destination /share/purger.tests /usr/bin/journal-records
	sed -e 's#^ExecStart=.*#ExecStart=/usr/bin/journal-records#; s#^Type=.*#Type=exec#; /^Restart/d; /^Watchdog/d' \
		-e 's#^BindReadOnlyPaths=#&/usr/bin/journal-records #' /etc/systemd/system/purger.service >/run/systemd/system/records.service
	systemctl daemon-reload
	systemctl start records
	eventually finds 6 "${match[@]}"
	systemctl stop records
	journalctl "${match[@]}" --all -o json --no-pager >$records
	[ "$(jq -r 'select(.PURGER_TENANT == "acme") | "\(.PURGER_OF)=\(.PRIORITY)"' $records | tr '\n' ' ')" = 'debug=7 info=6 warn=4 error=3 ' ]
	finds 2 "${match[@]}" PURGER_TENANT=acme -p warning
	jq -es 'any((.MESSAGE | startswith("hostile\n<0>forged")) and .PRIORITY == "6" and .PURGER_TENANT == "a\n<0>forged\nPRIORITY=0\nMESSAGE=forged\n")' $records >/dev/null
	[ "$(journalctl -b -p 0..2 -o cat --no-pager)" = '' ]
	check_that 'a level is a priority, a field is a field, and no value becomes a record'
	jq -es 'any(.PURGER_TENANT == "large" and .PRIORITY == "4" and (.PURGER_DATA | length) == 1048579)' $records >/dev/null
	check_that 'a record of 2 MiB, which no datagram takes, is not lost'
}

purges_on_a_signal() {
	echo '{"type":"tenant","id":"signalled","parentId":"","status":"disabled","disabledAt":"2020-01-01T00:00:00.000Z","purgeAfterDays":30}' |
		operate import - >/dev/null
	operate tenant get signalled >/dev/null
	systemctl kill -s USR1 purger
	eventually operate receipt signalled >/tmp/receipt 2>/dev/null
	operate receipt signalled -o json | jq -e '.trigger == "signal" and .countsExact' >/dev/null
	eventually logged PURGER_TENANT=signalled 'tenant purged'
	eventually says '^[0-9]* tenants?, 0 due, 0 blocked, 0 failed, 1 purged; '
	check_that 'what is due is purged when systemctl kill -s USR1 says so'
}

reloads() {
	refuse logged -p 7..7 .
	configure 'log: {level: debug}'
	systemctl reload purger
	eventually pass_at_debug
	is ActiveState=active SubState=running NRestarts=0
	[ "$(metric purger_config_last_reload_successful)" = 1 ]
	check_that 'a reload changes the level of the log'

	printf 'log:\n  level: info\n  colour: red\n' >/etc/purger/purger.yaml
	systemctl reload purger
	eventually logged PURGER_FILE=/etc/purger/purger.yaml PURGER_LINE=3 PURGER_FIELD=log.colour PRIORITY=3 'nothing was changed'
	[ "$(metric purger_config_last_reload_successful)" = 0 ]
	is ActiveState=active SubState=running NRestarts=0
	# With the old configuration: its level, and whom it protects.
	pass_at_debug
	operate tenant create protected >/dev/null
	refuse operate tenant deactivate protected
	configure
	systemctl reload purger
	eventually metric_is purger_config_last_reload_successful 1
	check_that 'a bad one is told with file, line and key, and changes nothing'
}

# pass_at_debug: a pass that nobody else asked for leaves a record at that level.
pass_at_debug() {
	local since
	since=$(date +%s.%6N)
	operate run >/dev/null
	journalctl --sync
	journalctl -u purger --since "@$since" -p 7..7 -o cat --no-pager | grep 'purge pass ended' >/dev/null
}

goes_on_after_an_interruption() {
	local pid took trees=1500
	systemctl restart purger
	begin_purge hung $trees
	kill -STOP "$(main_pid)"
	eventually restarted 1
	logged _PID=1 "Failed with result 'watchdog'"
	purged_exactly hung $trees
	check_that 'what hangs in the midst of a purge is ended by the watchdog, and nothing is lost'

	systemctl restart purger
	begin_purge killed $trees
	kill -KILL "$(main_pid)"
	eventually restarted 1
	purged_exactly killed $trees
	check_that 'after a kill it goes on where it was'

	systemctl restart purger
	begin_purge stopped $trees
	took=$(date +%s%N)
	systemctl stop purger
	took=$((($(date +%s%N) - took) / 1000000))
	is ActiveState=inactive Result=success ExecMainCode=1 ExecMainStatus=0
	[ "$took" -lt 30000 ]
	systemctl start purger
	purged_exactly stopped $trees
	check_that "systemctl stop in the midst of a purge took $took ms, and the next start goes on"

	forest whole $trees
	pid=$(main_pid)
	systemctl kill -s USR1 purger
	eventually due_is 0
	[ "$(main_pid)" = "$pid" ]
	if [ -n "$(memory_peak)" ]; then
		[ "$(memory_peak)" -le "$memory_bound" ]
		check_that "a purge of $trees trees keeps to MemoryMax: $(($(memory_peak) >> 20)) of $((memory_bound >> 20)) MiB"
	else
		check_that 'left out: this kernel does not count the memory of a control group'
	fi
}

serves_with_a_credential() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj /CN=purger \
		-addext subjectAltName=IP:127.0.0.1 -keyout /etc/purger/web-tls.key -out /etc/purger/web-tls.crt 2>/dev/null
	chmod 600 /etc/purger/web-tls.key
	chmod 644 /etc/purger/web-tls.crt
	printf 'tls_server_config:\n  cert_file: web-tls.crt\n  key_file: /run/credentials/purger.service/web-tls.key\n' >/etc/purger/web.yaml
	configure 'web: {configFile: web.yaml}'
	refuse systemctl restart purger # the key is root's
	is ActiveState=failed NRestarts=0 ExecMainStatus=78
	# The line that the unit has for it.
	{ echo '[Service]' && sed -n 's/^#\(LoadCredential=\)/\1/p' /etc/systemd/system/purger.service; } >/run/systemd/system/purger.service.d/tls.conf
	systemctl daemon-reload
	systemctl start purger
	curl -fsS --cacert /etc/purger/web-tls.crt https://127.0.0.1:9464/metrics | grep ^purger_tenants >/dev/null
	rm /run/systemd/system/purger.service.d/tls.conf
	configure
	systemctl daemon-reload
	systemctl restart purger
	check_that 'a key that only root can read reaches it as a credential'
}

ends_for_good_when_it_must() {
	echo 'bogus: 1' >>/etc/purger/purger.yaml
	refuse systemctl restart purger
	ended_with 78
	eventually logged -p err "purger.yaml:4: bogus"
	check_that 'a wrong configuration makes no loop of restarts'

	configure
	mv /var/lib/purger/purger.db /tmp/kept.db
	for file in /etc/passwd /dev/null; do
		install -o purger -g purger -m 600 "$file" /var/lib/purger/purger.db
		systemctl reset-failed purger
		refuse systemctl start purger
		ended_with 65
		logged_since_start -p err "purger: serve: .*/var/lib/purger/purger.db is "
	done
	head -c 16384 /tmp/kept.db >/var/lib/purger/purger.db
	refuse systemctl start purger
	ended_with 65
	install -o root -m 600 /tmp/kept.db /var/lib/purger/purger.db
	refuse systemctl start purger
	ended_with 65
	mv /tmp/kept.db /var/lib/purger/purger.db
	systemctl reset-failed purger
	systemctl start purger
	operate receipt signalled >/dev/null
	check_that 'nor does a store that is foreign, empty, cut or of another user'
}

# ended_with CODE: and systemd leaves it at that, longer than RestartSec.
ended_with() {
	sleep 0.5
	is ActiveState=failed ExecMainStatus="$1" NRestarts=0
}

stops() {
	systemctl stop purger
	is ActiveState=inactive Result=success ExecMainStatus=0 NRestarts=0
	check_that 'it stops cleanly'
}

# finds COUNT MATCH...: the journal has so many records.
finds() { [ "$(journalctl "${@:2}" -o json --no-pager | wc -l)" = "$1" ]; }

# logged MATCH... PATTERN: the unit's journal has such a record.
logged() { journalctl -u purger "${@:1:$#-1}" -o cat --no-pager | grep -- "${@: -1}" >/dev/null; }

# logged_since_start MATCH... PATTERN: of the process that runs or ran last.
logged_since_start() { logged "_SYSTEMD_INVOCATION_ID=$(show InvocationID)" "$@"; }

says() { show StatusText | grep -E -- "$1" >/dev/null; }

metric_is() { [ "$(metric "$1")" = "$2" ]; }

# passed TRIGGER: the last pass was set off by it.
passed() { operate status -o json | jq -e --arg trigger "$1" '.lastRun.trigger == $trigger' >/dev/null; }

case ${1:-} in
--inside) inside ;;
'' | -*)
	printf 'usage: deploy/systemd/test.sh PURGER TESTS\n' >&2
	exit 2
	;;
*)
	repository=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
	exec "$repository/deploy/systemd/box.sh" --timeout 240 \
		--share "$repository/deploy" --share "$repository/README.md" --share "$1:purger.bin" --share "$2:purger.tests" \
		bash deploy/systemd/test.sh --inside
	;;
esac
