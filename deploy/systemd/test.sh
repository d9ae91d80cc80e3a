#!/usr/bin/env bash
# Runs the unit under a real systemd: one that is started as PID 1 of its own
# namespaces, on a copy-on-write view of this machine's files, without a network
# but loopback. Nothing of it is left, and it cannot touch the machine's clock,
# devices or services. Needs root.
#
#   deploy/systemd/test.sh PURGER    with the binary to test
set -euo pipefail

self=$(readlink -f "${BASH_SOURCE[0]}")
repository=$(dirname "$(dirname "$(dirname "$self")")")

# Stage 1, on the machine: namespaces and a control group of their own.
outside() {
	local binary group box leader status=0
	binary=$(readlink -f "$1")
	box=$(mktemp -d)
	mkdir -p "$box/files" "$box/share"
	cp -a "$repository/deploy" "$repository/README.md" "$box/share/"
	install -m 755 "$binary" "$box/share/purger.bin"
	group=purger-test.$$
	setsid bash "$self" --group "$box" "$group" >"$box/console.log" 2>&1 &
	leader=$!
	wait "$leader" || true
	if [ -e "$box/share/result" ]; then
		status=$(cat "$box/share/result")
		cat "$box/share/log"
	else
		status=1
		printf 'systemd did not come up in the box:\n' >&2
		cat "$box/console.log" >&2
	fi
	local hierarchy
	for hierarchy in $(hierarchies); do
		if [ -d "$hierarchy/$group" ]; then
			find "$hierarchy/$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
		fi
	done
	rm -rf "$box"
	return "$status"
}

# hierarchies prints the one of version 2, or each one of version 1.
hierarchies() {
	if [ -e /sys/fs/cgroup/cgroup.procs ]; then
		echo /sys/fs/cgroup
	else
		dirname /sys/fs/cgroup/*/cgroup.procs
	fi
}

# Stage 2: into the control group, then into the namespaces.
group() {
	local box=$1 group=$2 hierarchy setting
	for hierarchy in $(hierarchies); do
		mkdir -p "$hierarchy/$group"
		for setting in cpuset.cpus cpuset.mems; do
			if [ -e "$hierarchy/$group/$setting" ] && [ -e "$hierarchy/$setting" ]; then
				cat "$hierarchy/$setting" >"$hierarchy/$group/$setting"
			fi
		done
		echo $$ >"$hierarchy/$group/cgroup.procs" || true
	done
	# A hung box ends after five minutes, with all that is in it.
	exec timeout --foreground -s KILL 300 unshare --cgroup --mount --pid --uts --ipc --net --fork --kill-child=KILL \
		--propagation private bash "$self" --inside "$box"
}

# Stage 3, inside: mounts, then systemd in this very process.
inside() {
	local box=$1 root unit device
	ip link set lo up
	hostname purger-test
	mount -t tmpfs -o size=512m tmpfs "$box/files"
	mkdir "$box"/files/{upper,work,root}
	root=$box/files/root
	mount -t overlay overlay -o "lowerdir=/,upperdir=$box/files/upper,workdir=$box/files/work" "$root"
	rm -rf "$root"/etc/systemd/system/*.wants "$root"/etc/systemd/system/*.requires
	: >"$root/etc/machine-id"
	# What looks after a real machine.
	for unit in systemd-{sysctl,modules-load,udevd,udev-trigger,remount-fs,tmpfiles-setup-dev,random-seed,timesyncd,hwdb-update,binfmt}.service \
		kmod-static-nodes.service dev-hugepages.mount sys-{kernel-debug,kernel-tracing,kernel-config,fs-fuse-connections}.mount \
		proc-sys-fs-binfmt_misc.{mount,automount}; do
		ln -sf /dev/null "$root/etc/systemd/system/$unit"
	done
	cat >"$root/etc/systemd/system/box.target" <<-'UNIT'
		[Unit]
		DefaultDependencies=no
		Requires=systemd-journald.service
		After=systemd-journald.service
		Wants=dbus.socket box.service
		AllowIsolate=yes
	UNIT
	cat >"$root/etc/systemd/system/box.service" <<-'UNIT'
		[Unit]
		DefaultDependencies=no
		After=systemd-journald.service dbus.socket
		[Service]
		Type=oneshot
		WorkingDirectory=/share
		StandardOutput=file:/share/log
		StandardError=file:/share/log
		ExecStart=/bin/bash /share/deploy/systemd/test.sh --checks
		ExecStopPost=/bin/sh -c 'echo $EXIT_STATUS >/share/result; kill -s RTMIN+13 1'
	UNIT
	mount -t proc proc "$root/proc"
	mount --bind "$root/proc/sys" "$root/proc/sys"
	mount -o remount,ro,bind "$root/proc/sys"
	mount -t sysfs -o ro sysfs "$root/sys"
	mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
	mkdir "$root"/sys/fs/cgroup/{unified,systemd}
	mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
	if ! mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd" 2>/dev/null; then
		umount "$root/sys/fs/cgroup/unified" "$root/sys/fs/cgroup"
		mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
	fi
	mount -t tmpfs -o mode=755 tmpfs "$root/dev"
	mkdir "$root/dev/pts" "$root/dev/shm"
	for device in null zero full random urandom tty; do
		: >"$root/dev/$device"
		mount --bind "/dev/$device" "$root/dev/$device"
	done
	ln -s /proc/self/fd "$root/dev/fd"
	mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
	ln -s pts/ptmx "$root/dev/ptmx"
	mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
	mount -t tmpfs -o mode=755 tmpfs "$root/run"
	mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
	mkdir -p "$root/share"
	mount --bind "$box/share" "$root/share"
	cd "$root"
	mkdir -p .machine
	pivot_root . .machine
	umount -l /.machine
	exec env -i container=nspawn PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv \
		--bounding-set=-sys_time,-sys_boot,-sys_module,-sys_rawio,-syslog,-wake_alarm,-mac_admin,-mac_override,-audit_control \
		/lib/systemd/systemd --system --unit=box.target --show-status=no </dev/null
}

# Stage 4, as a service of that systemd: README's commands, then the checks.
checks() {
	set -E
	trap 'complain $? "$BASH_COMMAND"' ERR
	# Nobody has to ask for rights here, and the binary was built before.
	sudo() { "$@"; }
	go() { cp /share/purger.bin purger; }
	export -f sudo go
	useradd --create-home alice
	useradd --create-home bob
	export USER=alice HOME=/root # as whom README is followed

	readme_block 1 >install.sh
	readme_block 2 >operate.sh
	bash -euo pipefail install.sh
	[ "$(systemctl is-active purger)" = active ]
	printf 'README: installs and starts\n'
	bash -euo pipefail operate.sh >/dev/null
	eventually passed signal
	printf 'README: SIGUSR1 begins a pass, reload works\n'

	[ "$(stat -c '%U %G %a' /var/lib/purger)" = 'purger purger 750' ]
	[ "$(stat -c '%U %G %a' /var/lib/purger/purger.db)" = 'purger purger 600' ]
	[ "$(stat -c '%U %G %a' /var/lib/purger/purger.sock)" = 'purger purger 660' ]
	as alice purger --data-dir /var/lib/purger tenant create acme >/dev/null
	purger --data-dir /var/lib/purger audit list -o json | grep -q "\"actor\": \"uid:$(id -u alice)\""
	if as bob purger --data-dir /var/lib/purger status 2>/dev/null; then false; fi
	printf 'the group operates it under its own name, others cannot\n'

	systemctl show -p StatusText --value purger | grep -q ', 0 due, .* next pass 20'
	curl -fsS http://127.0.0.1:9464/-/ready >/dev/null
	printf 'status line and metrics are there\n'

	mkdir -p /run/systemd/system/purger.service.d
	printf '[Service]\nWatchdogSec=2s\nRestartSec=100ms\nTimeoutStopSec=2s\n' >/run/systemd/system/purger.service.d/quick.conf
	systemctl daemon-reload
	systemctl restart purger
	kill -STOP "$(main_pid)"
	eventually restarted 1
	printf 'the watchdog restarts what hangs\n'
	kill -KILL "$(main_pid)"
	eventually restarted 2
	as alice purger --data-dir /var/lib/purger tenant get acme >/dev/null
	printf 'it is restarted after a kill, with what it knew\n'

	echo 'bogus: 1' >>/etc/purger/purger.yaml
	systemctl reload purger
	[ "$(systemctl is-active purger)" = active ]
	if systemctl restart purger 2>/dev/null; then false; fi
	[ "$(systemctl show -p ActiveState,NRestarts,ExecMainStatus purger | sort | tr '\n' ' ')" = 'ActiveState=failed ExecMainStatus=78 NRestarts=0 ' ]
	printf 'a wrong configuration neither stops a running daemon nor makes a loop of restarts\n'

	sed -i /bogus/d /etc/purger/purger.yaml
	systemctl reset-failed purger
	systemctl start purger
	systemctl stop purger
	[ "$(systemctl show -p ActiveState,Result,ExecMainStatus purger | sort | tr '\n' ' ')" = 'ActiveState=inactive ExecMainStatus=0 Result=success ' ]
	printf 'it stops cleanly\n'
}

# readme_block N prints the Nth block of README.md that works with systemctl.
readme_block() {
	awk -v n="$1" '
		/^```sh$/ { inside = 1; text = ""; next }
		/^```$/   { if (inside && text ~ /systemctl/ && ++seen == n) printf "%s", text; inside = 0; next }
		inside    { text = text $0 "\n" }
	' README.md
}

# complain ends the checks with the status of the command that failed.
complain() {
	trap - ERR
	printf 'FAILED with %s: %s\n' "$1" "$2"
	journalctl -u purger --no-pager -o cat | tail -n 30
	systemctl status --no-pager purger || true
	exit "$1"
}

main_pid() { systemctl show -p MainPID --value purger; }

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

# restarted N: systemd restarted it so often, and it is up again.
restarted() {
	[ "$(systemctl show -p NRestarts --value purger)" = "$1" ] && [ "$(systemctl is-active purger)" = active ]
}

# passed TRIGGER: the last pass was set off by it.
passed() { purger --data-dir /var/lib/purger status -o json | grep -q "\"trigger\": \"$1\""; }

case ${1:-} in
--group) group "$2" "$3" ;;
--inside) inside "$2" ;;
--checks) checks ;;
'' | -*)
	printf 'usage: deploy/systemd/test.sh PURGER\n' >&2
	exit 2
	;;
*) outside "$1" ;;
esac
