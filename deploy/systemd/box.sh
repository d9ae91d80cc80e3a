#!/usr/bin/env bash
# Runs a command as a service of a real systemd: one that is started as PID 1 of
# its own namespaces, on a copy-on-write view of this machine's files, without a
# network but loopback. Nothing of it is left, and it cannot touch the machine's
# clock, devices or services. Needs root.
#
#   deploy/systemd/box.sh [--timeout SECONDS] [--size SIZE] [--share FILE[:NAME]]... COMMAND [ARG...]
#
#   --timeout  after how long the box is killed, 300 unless set
#   --size     of the memory that what is written in the box may take, 512m unless set
#   --share    a file or directory to copy to /share/NAME, by its own name unless set
#
# COMMAND runs in /share, once the journal is there. What it printed is printed
# when it ends, and its exit status is that of the script; 124 is a box that was
# killed, 125 one in which systemd did not come up.
set -euo pipefail

self=$(readlink -f "${BASH_SOURCE[0]}")

# Stage 1, on the machine: what is shared, a control group, and the aftermath.
outside() {
	local timeout=300 size=512m shared=() file box group leader hierarchy status=0
	while [ "$#" -gt 0 ]; do
		case $1 in
		--timeout) timeout=$2 ;;
		--size) size=$2 ;;
		--share) shared+=("$2") ;;
		--) shift && break ;;
		-*) usage ;;
		*) break ;;
		esac
		shift 2
	done
	[ "$#" -gt 0 ] || usage
	box=$(mktemp -d)
	mkdir -p "$box/files" "$box/share"
	for file in "${shared[@]}"; do
		case $file in
		*:*) cp -aL "${file%:*}" "$box/share/${file##*:}" ;;
		*) cp -aL "$file" "$box/share/" ;;
		esac
	done
	printf '#!/bin/sh\nexec%s\n' "$(printf ' %q' "$@")" >"$box/share/.command"
	group=purger-box.$$
	setsid bash "$self" --group "$box" "$group" "$timeout" "$size" >"$box/console.log" 2>&1 &
	leader=$!
	wait "$leader" || status=$?
	if [ -e "$box/share/.log" ]; then cat "$box/share/.log"; fi
	if [ -e "$box/share/.result" ]; then
		status=$(cat "$box/share/.result")
	elif [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
		status=124
		printf 'the box was killed after %s s\n' "$timeout" >&2
	else
		status=125
		printf 'systemd did not come up in the box:\n' >&2
		cat "$box/console.log" >&2
	fi
	for hierarchy in $(hierarchies); do
		if [ -d "$hierarchy/$group" ]; then
			find "$hierarchy/$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
		fi
	done
	rm -rf "$box"
	case $status in
	*[!0-9]* | '') return 1 ;; # the name of a signal
	*) return "$status" ;;
	esac
}

usage() {
	sed -n 's/^# \{0,1\}//; /box\.sh \[/,/COMMAND runs/p' "$self" | sed '$d' >&2
	exit 2
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
	local box=$1 group=$2 timeout=$3 size=$4 hierarchy setting
	for hierarchy in $(hierarchies); do
		mkdir -p "$hierarchy/$group"
		for setting in cpuset.cpus cpuset.mems; do
			if [ -e "$hierarchy/$group/$setting" ] && [ -e "$hierarchy/$setting" ]; then
				cat "$hierarchy/$setting" >"$hierarchy/$group/$setting"
			fi
		done
		echo $$ >"$hierarchy/$group/cgroup.procs" || true
	done
	# What hangs is ended with all that is in it.
	exec timeout --foreground -s KILL "$timeout" unshare --cgroup --mount --pid --uts --ipc --net --fork --kill-child=KILL \
		--propagation private bash "$self" --inside "$box" "$size"
}

# Stage 3, inside: mounts, then systemd in this very process.
inside() {
	local box=$1 size=$2 root unit device
	ip link set lo up
	hostname purger-box
	mount -t tmpfs -o "size=$size" tmpfs "$box/files"
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
		StandardOutput=file:/share/.log
		StandardError=file:/share/.log
		ExecStart=/bin/sh /share/.command
		ExecStopPost=/bin/sh -c 'echo $EXIT_STATUS >/share/.result; kill -s RTMIN+13 1'
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
	# As on a machine: what one namespace mounts for a unit, such as its credentials,
	# another one sees. In a container systemd leaves that to whoever started it.
	mount --make-rshared /
	exec env -i container=nspawn PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv \
		--bounding-set=-sys_time,-sys_boot,-sys_module,-sys_rawio,-syslog,-wake_alarm,-mac_admin,-mac_override,-audit_control \
		/lib/systemd/systemd --system --unit=box.target --show-status=no </dev/null
}

case ${1:-} in
--group) group "${@:2}" ;;
--inside) inside "${@:2}" ;;
*) outside "$@" ;;
esac
