#!/usr/bin/env bash
# What test.sh checks under a real systemd: README's commands, with the packages
# in dist, and those of a later version in newer. Each kind of package is
# installed, upgraded, removed, installed again and purged.
#
#   deploy/packaging/checks.sh VERSION    in the box, with the version in dist

# shellcheck source=deploy/systemd/checks.sh
. /share/deploy/systemd/checks.sh
unit=purger
version=$1
native=$(dpkg --print-architecture)
tenants=20000

# What is left out in containers and is there on a machine: manual pages, and
# that packages start what they bring.
rm -rf /usr/sbin/policy-rc.d /etc/dpkg/dpkg.cfg.d /etc/apt/apt.conf.d
# What would only take time: the index of all manual pages and that of all packages,
# anew each time.
rm -rf /var/lib/man-db/auto-update /var/lib/apt/lists/*

# A line for each of thousands of tenants is more than the journal takes by default.
mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\nRateLimitIntervalSec=0\n' >/etc/systemd/journald.conf.d/all.conf
systemctl restart systemd-journald

export DEBIAN_FRONTEND=noninteractive
# Nobody has to ask for rights or to answer here, and rpm does not know what dpkg
# has installed.
sudo() { "$@"; }
apt() { apt-get -y -o Dpkg::Options::=--force-confold "$@"; }
dnf() { rpm --upgrade --nodeps --force-debian "${@:2}"; }
export -f sudo apt dnf

# readme NAME follows the block of README.md that is marked with the name.
readme() {
	awk -v mark="<!-- test: elsewhere $1 -->" '
		$0 == mark          { marked = 1; next }
		marked && /^```sh$/ { inside = 1; next }
		inside && /^```$/   { exit }
		inside
	' README.md >"/tmp/$1.sh"
	[ -s "/tmp/$1.sh" ]
	quietly bash -euo pipefail "/tmp/$1.sh"
}

# quietly COMMAND... shows what it printed only when it fails; it stays in /tmp/said.
quietly() { "$@" >/tmp/said 2>&1 || { cat /tmp/said && return 1; }; }

on_store() { purger --data-dir /var/lib/purger "$@"; }

# number NAME prints the first number of that name in the status.
number() { on_store status -o json | sed -n "s/^ *\"$1\": \([0-9]*\),*\$/\1/p" | sed -n 1p; }

at_least() { [ "$(number "$1")" -ge "$2" ]; }

mode_of() { stat -c '%U %G %a' "$1"; }

# running VERSION: the daemon runs, of this version.
running() {
	is ActiveState=active && [ "$(on_store status -o json | sed -n 's/^ *"version": "\(.*\)",$/\1/p')" = "$1" ]
}

# logged PID PATTERN: the daemon that was or is this process has logged it.
logged() {
	journalctl --output=cat "_PID=$1" >/tmp/journal
	grep -q -e "$2" /tmp/journal
}

# due FILE COUNT NAME writes tenants whose time has come, each with a user.
due() {
	seq "$2" | sed "s/.*/\
{\"type\":\"tenant\",\"id\":\"$3-&\",\"status\":\"disabled\",\"disabledAt\":\"2025-01-01T00:00:00Z\",\"purgeAfterDays\":30}\n\
{\"type\":\"user\",\"tenantId\":\"$3-&\",\"id\":\"u\",\"data\":{}}/" >"$1"
}

# installed VERSION: files, user, service.
installed() {
	running "$1"
	is UnitFileState=enabled User=purger
	[ "$(getent passwd purger | cut -d : -f 6)" = /var/lib/purger ]
	[ "$(mode_of /etc/purger/purger.yaml)" = 'root purger 640' ]
	[ "$(mode_of /etc/purger)" = 'root root 755' ]
	[ "$(mode_of /var/lib/purger)" = 'purger purger 750' ]
	[ "$(mode_of /usr/bin/purger)" = 'root root 755' ]
	as purger purger config check /etc/purger/purger.yaml >/dev/null
	as purger purger --config /etc/purger/purger.yaml config print | grep -x 'dataDir: /var/lib/purger' >/dev/null
	systemd-tmpfiles --cat-config purger.conf | grep '^d /var/lib/purger ' >/dev/null
	curl -fsS http://127.0.0.1:9464/-/ready >/dev/null
	[ -s /usr/share/purger/prometheus/purger.rules.yaml ]
	[ -s /usr/share/purger/prometheus/prometheus.yaml ]
	[ -s /usr/share/purger/grafana/purger.json ]
	[ -s /usr/share/purger/targets/postgres.yaml ]
	[ -x /usr/share/purger/targets/command-example.sh ]
	[ -s /usr/share/purger/sources/rest.yaml ]
	[ -s /usr/share/doc/purger/deploy/targets/README.md ]
}

# documented: by manual pages and completions.
documented() {
	local page
	for page in /usr/share/man/man1/purger*.1.gz /usr/share/man/man5/purger.yaml.5.gz; do
		[ -z "$(man --warnings -l "$page" 2>&1 >/dev/null)" ]
	done
	man purger-tenant-deactivate >/tmp/page
	grep -q -e '--days=int' /tmp/page
	man 5 purger.yaml >/tmp/page
	grep -q 'purge.drainTimeout: 30s' /tmp/page
	bash -n /usr/share/bash-completion/completions/purger
	grep -q '^#compdef purger$' /usr/share/zsh/vendor-completions/_purger
	grep -q '^complete -c purger ' /usr/share/fish/vendor_completions.d/purger.fish
	purger __complete tenant dea 2>/dev/null | grep '^deactivate' >/dev/null
}

# slowly makes purges last, with a configuration that somebody edited.
slowly() {
	sed -i -e 's/^  perPass: .*/  perPass: 0/' -e 's/^  perDayShare: .*/  perDayShare: 0/' \
		-e 's/^  concurrency: .*/  concurrency: 1/' -e 's/^  transactionTarget: .*/  transactionTarget: 1ms/' /etc/purger/purger.yaml
	cp /etc/purger/purger.yaml /tmp/edited.yaml
	systemctl restart "$unit"
}

# interrupted COMMAND... runs it, an upgrade, in the midst of a large purge, which
# must have gone on with the new version.
interrupted() {
	local before old
	due /tmp/due.ndjson "$tenants" "$unit-$SECONDS"
	before=$(number deleted)
	on_store pause --reason 'until it is all there' >/dev/null
	on_store import /tmp/due.ndjson >/dev/null
	on_store resume --reason 'it is' >/dev/null
	systemctl kill -s USR1 "$unit"
	eventually at_least deleted $((before + 100))
	old=$(main_pid)
	# However slow the upgrade is, the purge is not over before: systemd continues
	# what it stops.
	kill -STOP "$old"
	"$@"
	[ "$(main_pid)" != "$old" ]
	running v99.0.0
	logged "$old" 'pass finished.*"trigger": *"signal", *"result": *"interrupted"'
	logged "$old" 'purger ends'
	eventually at_least deleted $((before + tenants))
	eventually logged "$(main_pid)" 'pass finished.*"trigger": *"startup", *"result": *"ok"'
	[ "$(number deleted)" -eq $((before + tenants)) ]
	[ "$(number due)" -eq 0 ]
	on_store audit verify >/dev/null
	[ "$(mode_of /etc/purger/purger.yaml)" = 'root purger 640' ]
	cmp /etc/purger/purger.yaml /tmp/edited.yaml
}

# gone: no unit, no process, no binary; what it kept is there.
gone() {
	is LoadState=not-found
	refuse pgrep -x purger
	refuse test -e /usr/bin/purger
	[ "$(mode_of /var/lib/purger/purger.db)" = 'purger purger 600' ]
}

readme install-deb
installed "$version"
documented
[ "$(dpkg --audit)" = '' ]
dpkg --verify purger
printf 'deb: installs, is enabled and runs\n'

slowly
mv dist older && cp -r newer dist
interrupted readme install-deb
[ -e /etc/purger/purger.yaml.dpkg-dist ]
printf 'deb: an upgrade in the midst of a purge restarts the daemon, which completes it\n'

systemctl stop purger
quietly apt install --reinstall ./dist/purger_*_"$native".deb
is ActiveState=inactive UnitFileState=enabled
printf 'deb: an upgrade does not start what somebody stopped\n'

# given_up: what dpkg does when it gives a removal up.
given_up() {
	/var/lib/dpkg/info/purger.prerm remove
	is ActiveState=inactive
	/var/lib/dpkg/info/purger.postinst abort-remove
}
given_up
is ActiveState=inactive UnitFileState=enabled
systemctl start purger
given_up
running v99.0.0
systemctl stop purger
printf 'deb: a removal that is given up starts what it stopped, and nothing else\n'

due late.ndjson 1 late
as purger purger --data-dir /var/lib/purger pause --reason 'not yet' >/dev/null
as purger purger --data-dir /var/lib/purger import - <late.ndjson >/dev/null
as purger purger --data-dir /var/lib/purger resume --reason 'now' >/dev/null
systemctl start purger
eventually on_store receipt late-1 >/dev/null
readme remove-deb
gone
cmp /etc/purger/purger.yaml /tmp/edited.yaml
printf 'deb: a removal keeps data and configuration\n'

readme install-deb
running v99.0.0
on_store receipt late-1 >/dev/null
cmp /etc/purger/purger.yaml /tmp/edited.yaml
printf 'deb: installed again, it goes on with the data\n'

readme purge-deb
grep -q '/var/lib/purger is kept' /tmp/said
gone
refuse test -e /etc/purger/purger.yaml
refuse test -L /etc/systemd/system/multi-user.target.wants/purger.service
refuse dpkg-query --show purger
readme remove-data
refuse test -e /var/lib/purger
printf 'deb: a purge takes the configuration, and the data only by hand\n'

userdel purger
rm -rf dist && mv older dist
readme install-rpm
refuse grep -i warning /tmp/said
systemctl enable --now purger
installed "$version"
[ -s /usr/share/zsh/site-functions/_purger ]
[ "$(rpm --verify --nodeps purger)" = '' ]
printf 'rpm: installs and runs\n'

slowly
rm -rf dist && mv newer dist
interrupted readme install-rpm
[ -e /etc/purger/purger.yaml.rpmnew ]
printf 'rpm: an upgrade in the midst of a purge restarts the daemon, which completes it\n'

systemctl stop purger
quietly rpm --upgrade --nodeps --force-debian --replacepkgs dist/purger-*."$(uname -m)".rpm
is ActiveState=inactive UnitFileState=enabled
systemctl start purger
quietly rpm --erase purger
gone
[ -e /etc/purger/purger.yaml.rpmsave ]
refuse test -L /etc/systemd/system/multi-user.target.wants/purger.service
printf 'rpm: a removal keeps data and configuration\n'
