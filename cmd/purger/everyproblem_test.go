package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever mends one line and looks again is not told of the next one only then.
func TestConfigCheck_TellsAllThatIsWrongWithATargetAndWithTheSource(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		want []string // the path, and what is said of it
	}{
		"command": {`targets:
  - name: a
    type: command
    command: /bin/none
    kinds: [users]
    killAfter: 10s
    limits: {cpu: 1500ms}
    dir: here
    user: nosuchuser
`, []string{
			`:4: targets[0] (a): command "/bin/none": `, `:5: targets[0] (a): kinds: `, `:6: targets[0] (a): killAfter 10s: `,
			`:7: targets[0] (a): limits.cpu 1.5s: `, `:8: targets[0] (a): dir "here": `, `:9: targets[0] (a): user "nosuchuser": `,
		}},
		"scim": {`targets:
  - name: a
    type: scim
    baseUrl: ftp://scim.example.com
    pageSize: 5000
    parallel: 9999
    bulk: sometimes
    timeout: 2h
    resources:
      - kind: usr
        endpoint: Users
        attribute: a b
`, []string{
			`:4: targets[0] (a): baseUrl: `, `:5: targets[0] (a): pageSize: 5000;`, `:6: targets[0] (a): parallel: 9999;`, `:7: targets[0] (a): bulk: `,
			`:8: targets[0] (a): timeout: `, `:10: targets[0] (a): resources[0].kind: `, `:11: targets[0] (a): resources[0].endpoint: `, `:12: targets[0] (a): resources[0].attribute: `,
		}},
		"oauth": {`targets:
  - name: a
    type: oauth
    baseUrl: http://login.example.com
    parallel: 9999
    clients: "${file:/nowhere/clients}"
    maxBody: -1
    headers:
      Authorization: x${file:` + filepath.Join(dir, "secret") + `}
`, []string{
			`:4: targets[0] (a): baseUrl: `, `:5: targets[0] (a): parallel: 9999;`, `:6: targets[0] (a): clients: `, `:7: targets[0] (a): maxBody: -1;`, `:8: targets[0] (a): headers: Authorization`,
		}},
		"rest": {`targets:
  - name: a
    type: rest
    baseUrl: ftp://api.example.com
    parallel: 9999
    kinds:
      user:
        list: {url: "/u?t={tenant}", paging: {type: curser}}
        delete: {url: "/u/{ids}"}
      apiKey: {}
`, []string{
			`:4: targets[0] (a): baseUrl: `, `:5: targets[0] (a): parallel 9999:`, `:8: targets[0] (a): kinds.user.list.paging.type: "curser";`,
			`:9: targets[0] (a): kinds.user.delete.url: `, `:10: targets[0] (a): kinds.apiKey: `,
		}},
		"postgres": {`targets:
  - name: a
    type: postgres
    dsn: postgres://role@db/crm?sslmode=verify-full&sslrootcert=/nowhere/root.crt
    connections: 1
    ledger: a.b.c
    kinds: {user: {}}
`, []string{
			`:4: targets[0] (a): dsn: cannot be used: failed to configure TLS: open /nowhere/root.crt: no such file or directory;`, `:5: targets[0] (a): connections: 1;`,
			`:6: targets[0] (a): ledger: `, `:7: targets[0] (a): kinds.user.table: `, `:7: targets[0] (a): kinds.user.tenant: `,
		}},
		"source postgres": {`source:
  type: postgres
  dsn: postgres://role@db/crm?sslmode=verify-full&sslrootcert=/nowhere/root.crt
  query: ";"
  conns: 100
  fetch: -1
  timeout: 1ms
  standby: "yes"
`, []string{
			`:3: source: dsn: it cannot be read, since open /nowhere/root.crt: no such file or directory;`, `:4: source: query: `, `:5: source: conns: 100;`, `:6: source: fetch: -1;`,
			`:7: source: timeout: 1ms;`, `:8: source: standby: "yes";`,
		}},
		"source rest": {`source:
  type: rest
  baseUrl: ftp://api.example.com
  times: never
  rate: 5000
  list: {paging: {type: page, size: -1}}
  get: {url: /t}
  fields: {id: ""}
`, []string{
			`:3: source: baseUrl: `, `:4: source: times: "never":`, `:5: source: rate: 5000:`, `:6: source: list.url: `, `:6: source: list.paging.size: -1:`, `:6: source: list.paging.param: `,
			`:7: source: get.url: `, `:8: source: fields.id: `, `:8: source: fields.status: `,
		}},
		"a duration that is less than nothing": {`targets:
  - name: a
    type: postgres
    dsn: postgres://role@db/crm?sslmode=verify-full
    lockTimeout: "-1s"
    kinds: {user: {table: users, tenant: tenant}}
`, []string{`:5: targets[0].lockTimeout: "-1s": want a positive duration`}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "purger.yaml")
			writeText(t, filepath.Join(dir, "secret"), "hunter2\n")
			writeText(t, path, c.text)
			var out, failed bytes.Buffer
			if code := run(t.Context(), nil, []string{"config", "check", path}, nil, &out, &failed); code != exitConfig {
				t.Errorf("exit code %d", code)
			}
			said := strings.Split(strings.TrimSuffix(failed.String(), "\n"), "\n")
			for _, want := range c.want {
				if !strings.Contains(failed.String(), path+want) {
					t.Errorf("lacks %s%s", path, want)
				}
			}
			if len(said) != len(c.want) || t.Failed() {
				t.Errorf("%s\n%d lines; want %d", failed.String(), len(said), len(c.want))
			}
		})
	}
}
