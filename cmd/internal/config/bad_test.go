package config

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/store"
)

// bad returns, for each file in testdata that is refused, all that is said of
// it, without its name in front. DIR stands for the folder.
func bad() map[string][]string {
	return map[string][]string{
		"bad-alias.yaml": {
			`:2: store.transactionTarget: "10ms": anchors are not supported; want the value without &t, in quotes when it begins with "&"`,
			`:3: store.compactAfter: *t: aliases are not supported; want the value itself, in quotes when it begins with "*"`,
			`:4: log: "log": anchors are not supported; want the value without &k, in quotes when it begins with "&"`,
			`:5: tenants.protected: "acme": anchors are not supported; want the value without &a, in quotes when it begins with "&"`,
			`:5: tenants.protected: *a: aliases are not supported; want the value itself, in quotes when it begins with "*"`,
		},
		"bad-targets.yaml": {
			`:2: targets[0].name: want a name of letters, digits and . _ : - that is not "store", such as crm`,
			`:2: targets[0].type: "ldap": want one of command, oauth, postgres, rest, scim`,
			`:4: targets[1].name: "store": want a name of letters, digits and . _ : - that is not "store", such as crm`,
			`:7: targets[1].dsn: <secret>: a secret does not belong into the file; want ${credential:NAME} or ${file:/path}`,
			`:9: targets[1].kinds.user.tabel: unknown key; did you mean table?`,
			`:10: targets[1].policy.window: "always": "always" is neither days nor two times; want spans such as "22:00-05:00 UTC" or "Sat,Sun 00:00-24:00 Europe/Berlin", separated by commas`,
			`:10: targets[1].policy.concurrency: 0: want 1 to 1024`,
			`:11: targets[2]: "crm": want a mapping with the keys name, type, policy and those of the type`,
			`:14: targets[4].name: "crm" is the name of the target in line 12; want another`,
		},
		"bad-targets-postgres.yaml": {
			`:5: targets[0].statementTimeout: "5m": want less than policy.timeout, which is 30s`,
			`:8: targets[1].statementTimeout: is 25s when it is not set; want less than policy.timeout, which is 20s`,
			`:20: targets[3].kinds.credential: the target one has the same table and tenant column, by the same dsn; want each row to be in one target`,
		},
		"bad-secrets.yaml": {
			`:5: targets[0].clients: <secret>: a secret does not belong into the file; want ${credential:NAME} or ${file:/path}`,
			`:7: targets[0].headers.X-Api-Key: <secret>: a secret does not belong into the file; want ${credential:NAME} or ${file:/path}`,
			`:11: targets[1].auth.bearer: <secret>: a secret does not belong into the file; want ${credential:NAME} or ${file:/path}`,
			`:15: targets[2].env.CRM_TOKEN: <secret>: a secret does not belong into the file; want ${credential:NAME} or ${file:/path}`,
		},
		"bad-source.yaml": {
			`:2: source.type: "csv": want one of postgres, rest`,
			`:3: source.every: "0s": want 1s to 168h`,
			`:4: source.maxChange: 20: want a number from 0 to 1, such as 0.2`,
			`:5: source.syncTimeout: "5s": want 10s to 24h`,
			`:6: source.maxAge: "1s": want 1m to 720h, or 0s for three times every, and an hour at the least`,
		},
		"bad-source-keys.yaml": {
			`:3: source.dsn: "postgres://purger:${env:PGPASSWORD}@db/crm": ${env:...} refers to nothing; want ${credential:NAME} or ${file:/path}`,
			`:4: source.evry: unknown key; did you mean every?`,
			`:5: source.max_change: unknown key; did you mean maxChange?`,
			`:6: source.sometimes: unknown key; want one of type, every, syncTimeout, maxAge, maxChange, maxChangeFloor, name, dsn, insecure, query, channel, conns, fetch, timeout, snapshotTimeout, standby`,
		},
		"bad-api-immediateDelete.yaml": {
			`:2: api.immediateDelete: "yes": want one of never, disabled, any`,
		},
		"bad-api-approvals-delete.yaml": {
			`:3: api.approvals.delete: 3: want a whole number from 1 to 2`,
		},
		"bad-api-approvals-expire.yaml": {
			`:3: api.approvals.expire: "30s": want a duration with a unit, such as 24h, from 1m to 168h`,
		},
		"bad-api-approvals-resume.yaml": {
			`:3: api.approvals.resume: 0: want a whole number from 1 to 2`,
		},
		"bad-api-auth-audience.yaml": {
			`:3: api.auth.audience: "" (the default): want the audience that tokens of api.auth.issuer must be for`,
		},
		"bad-api-auth-clockSkew.yaml": {
			`:3: api.auth.clockSkew: "10m": want a duration with a unit, such as 30s, from 0s to 5m`,
		},
		"bad-api-auth-issuer.yaml": {
			`:3: api.auth.issuer: "http://id.example.com": want an https URL without query, such as https://id.example.com/realms/ops`,
		},
		"bad-api-auth-keysFile.yaml": {
			`:5: api.auth.keysFile: "no-such-keys.json": no such file (DIR/no-such-keys.json)`,
		},
		"bad-api-auth-requireNotBefore.yaml": {
			`:3: api.auth.requireNotBefore: 1: want true or false`,
		},
		"bad-api-auth-roles.yaml": {
			`:4: api.auth.roles: "superadmin": want one of tenant, viewer, operator, super_admin`,
			`:5: api.auth.roles: 007: want a key of printable characters, in quotes when it is a number`,
			`:7: api.auth.roles: "sre": the same key comes before; want it once`,
			`:8: api.auth.roles: "": want a value of the claim`,
		},
		"bad-api-auth-rolesClaim.yaml": {
			`:3: api.auth.rolesClaim: "": want the name of a claim, such as roles or realm_access.roles`,
		},
		"bad-api-auth-tenantClaim.yaml": {
			`:3: api.auth.tenantClaim: "": want the name of a claim, such as roles or realm_access.roles`,
		},
		"bad-api-confirmHostname.yaml": {
			`:2: api.confirmHostname: "never": want one of required, optional`,
		},
		"bad-api-gate-anonymous.yaml": {
			`:3: api.gate.anonymous: false: want one of loopback, always, never`,
		},
		"bad-api-gate-unknown.yaml": {
			`:3: api.gate.unknown: "ask": want one of deny, allow`,
		},
		"bad-api-limits-burst.yaml": {
			`:3: api.limits.burst: 0: want a whole number from 1 to 1000000`,
		},
		"bad-api-limits-concurrency.yaml": {
			`:3: api.limits.concurrency: 0: want a whole number from 1 to 100000`,
		},
		"bad-api-limits-perSubject.yaml": {
			`:3: api.limits.perSubject: -1: want a whole number from 0 to 1000000`,
		},
		"bad-api-socket-roles.yaml": {
			`:4: api.socket.roles: "root": want user:NAME, uid:N, group:NAME, gid:N or *`,
			`:5: api.socket.roles: "admin": want one of tenant, viewer, operator, super_admin`,
		},
		"bad-api-syncTimeout.yaml": {
			`:2: api.syncTimeout: 30: want a duration with a unit, such as 30s, from 1s to 1h`,
		},
		"bad-control.yaml": {
			`:2: U+001B: want text without control characters`,
		},
		"bad-dataDir.yaml": {
			`:1: dataDir: "": want a directory, such as ./purger-data`,
		},
		"bad-documents.yaml": {
			`:3: a second document begins; want one, without ---`,
		},
		"bad-duplicate.yaml": {
			`:3: log.level: "debug": the key is in line 2 already; want it once`,
			`:4: log: a mapping: the key is in line 1 already; want it once`,
		},
		"bad-indent.yaml": {
			`:3: not YAML: did not find expected key; want YAML`,
		},
		"bad-keys.yaml": {
			`:1: dataDirectory: unknown key; did you mean dataDir?`,
			`:2: Log: unknown key; did you mean log?`,
			`:3: concurrency: unknown key; did you mean purge.concurrency?`,
			`:5: purge.batch: unknown key; did you mean limits.batch?`,
			`:6: purge.schedul: unknown key; did you mean purge.schedule?`,
			`:7: <<: merges are not supported; want the keys themselves`,
			`:8: a list: want one of the keys dataDir, log, web, tenants, purge, limits, api, store, targets, source`,
			`:10: zzz: unknown key; want one of dataDir, log, web, tenants, purge, limits, api, store, targets, source`,
			`:11: limits.perday: unknown key; did you mean limits.perDay?`,
			`:11: limits.perDayshare: unknown key; did you mean limits.perDayShare?`,
		},
		"bad-latin1.yaml": {
			`:2: byte 0xfc: want text in UTF-8`,
		},
		"bad-limits-batch.yaml": {
			`:2: limits.batch: 0: want a whole number from 1 to 1000000`,
		},
		"bad-limits-perDay.yaml": {
			`:2: limits.perDay: 1_000: want a whole number from 0 to 2147483647`,
		},
		"bad-limits-perDayShare.yaml": {
			`:2: limits.perDayShare: "10%": want a number from 0 to 1, such as 0.10`,
		},
		"bad-limits-perDayShareFloor.yaml": {
			`:2: limits.perDayShareFloor: 1.5: want a whole number from 0 to 2147483647`,
		},
		"bad-limits-perPass.yaml": {
			`:2: limits.perPass: -1: want a whole number from 0 to 2147483647`,
		},
		"bad-log-format.yaml": {
			`:2: log.format: "logfmt": want one of auto, json, console`,
		},
		"bad-log-level.yaml": {
			`:2: log.level: "trace": want one of debug, info, warn, error`,
		},
		"bad-many.yaml": {
			`:2: dataDir: nothing: want a directory; without the key it is the default`,
			`:3: logs: unknown key; did you mean log?`,
			`:5: log.level: 5: want one of debug, info, warn, error`,
			`:6: log.levle: unknown key; did you mean log.level?`,
			`:7: web: "127.0.0.1:9464": want a mapping with the keys listenAddress, configFile, insecure`,
			`:9: tenants.gracePeriod.max: 9999: want a whole number from 1 to 3650`,
			`:9: tenants.gracePeriod.default: -1: want a whole number from 1 to 3650`,
			`:10: tenants.protected: "acme": want a list of tenant ids, such as [acme, globex]`,
			`:12: purge.backoff.max: "1h": want at least purge.backoff.initial, which is 2h`,
			`:13: purge.concurrency: 0: want a whole number from 1 to 1024`,
			`:14: purge.lease: "5m": anchors are not supported; want the value without &lease, in quotes when it begins with "&"`,
			`:15: purge.callTimeout: "30s": tags are not supported; want the value without !!str`,
			`:16: purge.concurrency: 8: the key is in line 13 already; want it once`,
			`:17: perPass: unknown key; did you mean limits.perPass?`,
			`:18: "a\nb\u202e": unknown key; want one of dataDir, log, web, tenants, purge, limits, api, store, targets, source`,
		},
		"bad-purge-attempts.yaml": {
			`:2: purge.attempts: "10": want a whole number from 1 to 1000, without quotes`,
		},
		"bad-purge-backoff-initial.yaml": {
			`:3: purge.backoff.initial: 30: want a duration with a unit, such as 30s, from 1s to 24h`,
		},
		"bad-purge-backoff-max.yaml": {
			`:4: purge.backoff.max: "90m": want at least purge.backoff.initial, which is 2h`,
		},
		"bad-purge-callTimeout.yaml": {
			`:2: purge.callTimeout: "0s": want a duration with a unit, such as 30s, from 1s to 1h`,
		},
		"bad-purge-concurrency.yaml": {
			`:2: purge.concurrency: "many": want a whole number from 1 to 1024`,
		},
		"bad-purge-drainTimeout.yaml": {
			`:2: purge.drainTimeout: "half a minute": want a duration with a unit, such as 30s, from 1s to 1h`,
		},
		"bad-purge-lease.yaml": {
			`:3: purge.lease: "1m": want more than purge.callTimeout, which is 1m`,
		},
		"bad-purge-schedule.yaml": {
			`:2: purge.schedule: "61 * * * *": minute "61": "61"; want 0 to 59`,
		},
		"bad-quote.yaml": {
			`:2: not YAML: found unexpected end of stream; want YAML`,
		},
		"bad-root.yaml": {
			`:1: a list: want a mapping with the keys dataDir, log, web, tenants, purge, limits, api, store, targets, source`,
		},
		"bad-star.yaml": {
			`:2: not YAML: did not find expected alphabetic or numeric character; put a value that begins with "*" in quotes`,
		},
		"bad-store-compactAfter.yaml": {
			`:2: store.compactAfter: "1d": want a duration with a unit, such as 24h, from 0s to 8784h`,
		},
		"bad-store-importTempDir.yaml": {
			`:2: store.importTempDir: a list: want a directory`,
		},
		"bad-store-mmapSize.yaml": {
			`:2: store.mmapSize: "4GB": want a size with a unit, such as 4GiB, from 1MiB to 16TiB`,
		},
		"bad-store-transactionTarget.yaml": {
			`:2: store.transactionTarget: "2s": want a duration with a unit, such as 10ms, from 1ms to 1s`,
		},
		"bad-tab.yaml": {
			`:2: not YAML: found character that cannot start any token; indent with spaces instead of tabs`,
		},
		"bad-tenants-gracePeriod-default.yaml": {
			`:3: tenants.gracePeriod.default: 30 (the default): want at least tenants.gracePeriod.min, which is 40`,
		},
		"bad-tenants-gracePeriod-max.yaml": {
			`:4: tenants.gracePeriod.max: 15: want at least tenants.gracePeriod.min, which is 50`,
		},
		"bad-tenants-gracePeriod-min.yaml": {
			`:3: tenants.gracePeriod.min: 0: want a whole number from 1 to 3650`,
		},
		"bad-tenants-protected.yaml": {
			`:4: tenants.protected: 007: want the id in quotes: "007"`,
			`:5: tenants.protected: "no spaces": want an id of letters, digits and . _ : - that begins with a letter or a digit, at most 128 bytes`,
			`:6: tenants.protected: "acme": the same id is in line 3; want it once`,
			`:7: tenants.protected: nothing: want the id of a tenant`,
		},
		"bad-utf16.yaml": {
			`:1: byte 0xff: want text in UTF-8`,
		},
		"bad-web-configFile.yaml": {
			`:2: web.configFile: "no-such-file.yaml": no such file (DIR/no-such-file.yaml)`,
		},
		"bad-web-insecure.yaml": {
			`:2: web.insecure: "yes": want true or false`,
		},
		"bad-web-listenAddress.yaml": {
			`:2: web.listenAddress: 9464: want an address and a port, such as 127.0.0.1:9464, [::1]:9464 or :9464`,
		},
	}
}

func TestLoad_TellsAllThatIsWrongWithLineFieldValueAndWhatWouldBeRight(t *testing.T) {
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	table := bad()
	for _, path := range files {
		name := filepath.Base(path)
		want, ok := table[name]
		delete(table, name)
		if !ok {
			t.Errorf("%s is in no table", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			c, err := Load(path)
			if err == nil {
				t.Fatalf("accepted: %+v", c)
			}
			if code := store.CodeOf(err); code != store.Invalid {
				t.Errorf("the code is %s", code)
			}
			got := strings.Split(err.Error(), "\n")
			for i, line := range want {
				want[i] = path + strings.ReplaceAll(line, "DIR", dir)
			}
			if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
		})
	}
	for name := range table {
		t.Errorf("%s is in the table and not in testdata", name)
	}
}

func TestLoad_EveryKeyHasABadExample(t *testing.T) {
	for _, f := range schema() {
		path := "testdata/bad-" + strings.ReplaceAll(f.key, ".", "-") + ".yaml"
		var problems *Problems
		if _, err := Load(path); !errors.As(err, &problems) {
			t.Errorf("%s: %s says nothing of it: %v", f.key, path, err)
			continue
		}
		for _, p := range problems.List {
			below := strings.HasPrefix(p.Field, f.key+"[") || f.key == "source" && strings.HasPrefix(p.Field, "source.")
			if p.Field != f.key && !below {
				t.Errorf("%s: %s is about %s", f.key, path, p.Field)
			}
		}
	}
}

func TestLoad_AFileThatCannotBeReadIsAProblem(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	big := []byte(strings.Repeat("#", maxSize))
	for name, c := range map[string]struct{ path, want string }{
		"missing":        {filepath.Join(dir, "none.yaml"), "no such file"},
		"nameless":       {"", "no such file"},
		"directory":      {dir, "it is a directory; want a file"},
		"below a file":   {filepath.Join(write("file", nil, 0o600), "x"), "not a directory; want a file that can be read"},
		"link to itself": {loop, "too many levels of symbolic links; want a file that can be read"},
		"too large":      {write("big", append(big, '#'), 0o600), "more than 1MiB; want a configuration file"},
	} {
		_, err := Load(c.path)
		want := strings.TrimPrefix(c.path+": "+c.want, ": ")
		var problems *Problems
		if !errors.As(err, &problems) || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if _, err := Load(write("just right", big, 0o600)); err != nil {
		t.Errorf("a file of the largest size: %v", err)
	}
	if os.Geteuid() != 0 { // root may read everything
		path := write("secret", nil, 0)
		if _, err := Load(path); err == nil || err.Error() != path+": permission denied; want a file that can be read" {
			t.Errorf("a file that may not be read: %v", err)
		}
	}
}

func TestLoad_APipeIsRefusedInsteadOfWaitedFor(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.Close() // so that reading it would end
	path := filepath.Join("/proc/self/fd", strconv.Itoa(int(r.Fd())))
	if _, err := Load(path); err == nil || err.Error() != path+": it is a pipe, a socket or a disk; want a file" {
		t.Errorf("a pipe: %v", err)
	}
}
