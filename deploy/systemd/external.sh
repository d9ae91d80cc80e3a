# shellcheck shell=bash
# Systems outside the store, called out of the daemon's sandbox: a PostgreSQL by
# name and by its socket, a program, an authorization server. Sourced by test.sh,
# after checks.sh and forest.sh.

database=/var/lib/database # a PostgreSQL of our own
far=192.0.2.1              # which listens there, an address of this machine, too

# shellcheck disable=SC2016
external_dsn='postgres://purger:${credential:app-password}@'
# shellcheck disable=SC2016
external=(
	'targets:'
	"- {name: far, type: postgres, dsn: '${external_dsn}db.example.com/app?sslmode=verify-full', kinds: {user: {table: users, tenant: tenant_id}}, statementTimeout: 2s, policy: {timeout: 3s}}"
	"- {name: near, type: postgres, dsn: '${external_dsn}db.internal.example.com/app?sslmode=verify-full', kinds: {apiKey: {table: api_keys, tenant: tenant_id}}}"
	"- {name: socket, type: postgres, dsn: 'postgres:///app?host=/run/postgresql', kinds: {credential: {table: credentials, tenant: tenant_id}}}"
	'- {name: login, type: oauth, baseUrl: "https://login.example.com", clients: "${file:/etc/purger/clients.jsonl}"}'
)
# The last one, to be closed by a brace.
external_program='- {name: files, type: command, kinds: [user], command: /usr/local/lib/purger/command-example.sh, env: {FILES_ROOT: /srv/files, PATH: "/usr/bin:/bin"}'

# make_database makes its files, in some seconds in which other checks may run.
make_database() {
	local key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2)
	install -d -o postgres -m 700 "$database"
	runuser -u postgres -- "$(postgres_program initdb)" -D "$database/data" -U postgres --auth-local=peer --auth-host=reject \
		-E UTF8 --locale=C.UTF-8 --no-sync
	echo 'hostssl all purger all scram-sha-256' >"$database/tls"
	cat "$database/data/pg_hba.conf" >>"$database/tls"
	cat "$database/tls" >"$database/data/pg_hba.conf"
	openssl req -x509 "${key[@]}" -subj '/CN=an authority' -keyout "$database/ca.key" -out "$database/ca.crt"
	openssl req -x509 "${key[@]}" -subj '/CN=servers' -addext subjectAltName=DNS:db.example.com,DNS:db.internal.example.com,DNS:login.example.com \
		-addext basicConstraints=critical,CA:false -CA "$database/ca.crt" -CAkey "$database/ca.key" \
		-keyout "$database/server.key" -out "$database/server.crt"
	chown postgres "$database"/server.*
}

postgres_program() { printf '%s\n' /usr/lib/postgresql/*/bin/"$1" | tail -n 1; }

sql() { (cd / && runuser -u postgres -- psql -X -q -At -v ON_ERROR_STOP=1 -h /run/postgresql "$@"); }

# serve_database starts it, with a platform in it: of the tenants leaves and stays.
serve_database() {
	ip address add "$far/32" dev lo
	systemd-run --quiet --unit=database --uid=postgres --property=Type=notify --property=RuntimeDirectory=postgresql \
		"$(postgres_program postgres)" -D "$database/data" -k /run/postgresql -c "listen_addresses=127.0.0.1,$far" -c fsync=off \
		-c ssl=on -c "ssl_cert_file=$database/server.crt" -c "ssl_key_file=$database/server.key"
	sql -c 'CREATE DATABASE app'
	sql app <<-'SQL'
		CREATE TABLE users (id int PRIMARY KEY, tenant_id text NOT NULL);
		INSERT INTO users SELECT i, CASE WHEN i > 7 THEN 'stays' ELSE 'leaves' END FROM generate_series(1, 10) i;
		CREATE TABLE api_keys AS SELECT * FROM users WHERE id <> 1;
		CREATE TABLE credentials AS SELECT * FROM users WHERE id > 2;
		CREATE ROLE purger LOGIN PASSWORD 'a/b#c%d';
		GRANT SELECT, DELETE ON users, api_keys, credentials TO purger;
	SQL
}

# left prints how many users, keys, credentials and files a tenant has.
left() {
	sql app -F ' ' -c "SELECT (SELECT count(*) FROM users WHERE tenant_id = '$1'), (SELECT count(*) FROM api_keys WHERE tenant_id = '$1'),
		(SELECT count(*) FROM credentials WHERE tenant_id = '$1'), $(find "/srv/files/tenant-$1" -type f | wc -l)"
}

# serve_names starts a name server that has one address for every name. This
# machine finds it as with systemd-resolved, and its authorities as on openSUSE.
serve_names() {
	cat >/tmp/names.pl <<-'PERL'
		use Socket;
		socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
		bind($s, sockaddr_in(53, inet_aton("127.0.0.53"))) or die $!;
		while (defined(my $from = recv($s, my $query, 512, 0))) {
			my $question = substr($query, 12, index($query, "\0", 12) + 5 - 12);
			my $known = unpack("n", substr($question, -4)) == 1; # A, and not AAAA
			my $answer = $known ? pack("n3Nn", 0xc00c, 1, 1, 60, 4) . inet_aton($ARGV[0]) : "";
			send($s, substr($query, 0, 2) . pack("n5", 0x8180, 1, $known, 0, 0) . $question . $answer, 0, $from);
		}
	PERL
	systemd-run --quiet --unit=names perl /tmp/names.pl "$far"
	eventually listens udp 127.0.0.53:53
	mkdir -p /run/systemd/resolve /var/lib/ca-certificates
	echo 'nameserver 127.0.0.53' >/run/systemd/resolve/stub-resolv.conf
	ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
	echo '127.0.0.1 db.internal.example.com' >>/etc/hosts
	cat "$database/ca.crt" >/var/lib/ca-certificates/ca-bundle.pem
	ln -sf ../../../var/lib/ca-certificates/ca-bundle.pem /etc/ssl/certs/ca-certificates.crt
}

# listens PROTOCOL ADDRESS: somebody does.
listens() { ss -Hln "--$1" "src = $2" | grep . >/dev/null; }

# serve_files has a program, and what it works on.
serve_files() {
	local of
	install -D -m 755 /share/deploy/targets/command-example.sh /usr/local/lib/purger/command-example.sh
	groupadd files
	for of in leaves stays; do
		install -d -g files -m 2770 "/srv/files/tenant-$of/user"
		touch "/srv/files/tenant-$of/user"/{1,2,3}
	done
}

# serve_login starts what stands for the authorization server: it answers.
serve_login() {
	systemd-run --quiet --unit=login openssl s_server -www -accept "$far:443" -cert "$database/server.crt" -key "$database/server.key"
	eventually listens tcp "$far:443"
}

# client TENANT makes it have the client of the authorization server.
client() {
	printf '{"tenant_id":"%s","client_id":"c","registration_client_uri":"https://login.example.com/c","registration_access_token":"t"}\n' \
		"$1" >/etc/purger/clients.new
	mv /etc/purger/clients.new /etc/purger/clients.jsonl
}

# sound TARGET: the daemon reaches it, and doctor finds nothing that is an error.
sound() {
	operate target test "$1" >/dev/null &&
		operate doctor "$1" -o json | jq -e 'all(.severity != "error")' >/dev/null
}

reaches_other_systems() {
	local of
	serve_database
	serve_names
	serve_files
	serve_login
	client stays
	install -m 600 <(echo 'a/b#c%d') /etc/purger/app-password
	configure "${external[@]}" "$external_program, limits: {cpu: 5s, memory: 536870912, files: 64, processes: 256, fileSize: 65536}}"

	readme_block sandbox >sandbox.sh
	bash -euo pipefail sandbox.sh
	operate status >/dev/null
	CREDENTIALS_DIRECTORY=/run/credentials/purger.service purger config check /etc/purger/purger.yaml >/dev/null
	refuse purger config check /etc/purger/purger.yaml
	for of in far near socket files login; do sound "$of"; done
	check_that 'README: names, authorities, a password, a socket and a program are there for it'
}

purges_in_other_systems() {
	local code
	echo '{"type":"tenant","id":"leaves","parentId":"","status":"disabled","disabledAt":"2020-01-01T00:00:00.000Z","purgeAfterDays":30}' |
		operate import - >/dev/null
	[ "$(stat -c '%U %a' /var/lib/purger/oauth-login.journal)" = 'purger 600' ]
	echo '{' >/etc/purger/clients.new
	mv /etc/purger/clients.new /etc/purger/clients.jsonl
	code=0
	operate plan -o json >plan.json || code=$?
	[ "$code" = 3 ]
	grep 'clients: line 1: ' plan.json >/dev/null
	client stays
	check_that 'an authorization server has its journal in /var/lib/purger, and its list may be replaced'

	[ "$(left leaves)" = '7 6 5 3' ]
	systemctl kill -s USR1 purger
	eventually operate receipt leaves >/dev/null 2>&1
	operate receipt leaves -o json | jq -e '.countsExact and .targets.far.users == 7 and .targets.near.apiKeys == 6 and
		.targets.socket.credentials == 5 and .targets.files.users == 3' >/dev/null
	[ "$(left leaves)" = '0 0 0 0' ]
	[ "$(left stays)" = '3 3 3 3' ]
	check_that 'a purge takes what the tenant has in all of them, and nothing else'
}

reaches_nothing_else() {
	sed -i '/^IPAddressAllow=/d' /etc/systemd/system/purger.service.d/targets.conf
	systemctl daemon-reload
	systemctl restart purger
	sound near
	if journalctl -b --no-pager | grep 'does not support BPF' >/dev/null; then
		check_that 'left out: this kernel does not filter addresses'
	else
		refuse sound far
		check_that 'without IPAddressAllow= it reaches the loopback address alone'
	fi

	configure "${external[@]}" "$external_program, user: alice}"
	refuse systemctl restart purger
	is ActiveState=failed NRestarts=0 ExecMainStatus=78
	logged_since_start 'user "alice": only a daemon that runs as root can run a program as somebody else'
	check_that 'a program runs as its user and as nobody else'

	rm -r /etc/systemd/system/purger.service.d
	ip address delete "$far/32" dev lo
	configure
	systemctl daemon-reload
	systemctl restart purger
}
