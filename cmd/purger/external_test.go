package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store/boltstore"
)

// everyTarget is a configuration with a target of every type.
const everyTarget = `targets:
  - {name: a, type: command, kinds: [user], command: /bin/true}
  - {name: b, type: oauth, baseUrl: "https://id.example.com"}
  - {name: c, type: postgres, dsn: "postgres://db/crm", kinds: {user: {table: users, tenant: tenant_id, key: [id]}}}
  - {name: d, type: rest, baseUrl: "https://api.example.com", kinds: {user: {list: {url: "/users?tenant={tenant}", id: id}, delete: {url: "/users/{id}"}}}}
  - {name: e, type: scim, baseUrl: "https://scim.example.com", resources: [{kind: user, endpoint: /Users, attribute: externalId}]}
`

// sources are those of every type.
func sources() []string {
	return []string{
		"source: {type: postgres, dsn: \"postgres://db/crm\", query: \"SELECT id, status FROM tenants\"}\n",
		"source: {type: rest, baseUrl: \"https://api.example.com\", list: {url: /tenants}, get: {url: \"/tenants/{id}\"}, fields: {id: id, status: s, disabledAt: d}}\n",
	}
}

// loadText loads a configuration.
func loadText(t *testing.T, text string) config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "purger.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DataDir = t.TempDir()
	return cfg
}

func TestOpenExternal_MakesATargetAndASourceOfEveryType(t *testing.T) {
	for _, src := range sources() {
		cfg := loadText(t, everyTarget+src)
		if err := checkExternal(cfg); err != nil {
			t.Errorf("check: %v", err)
		}
		if files, err := os.ReadDir(cfg.DataDir); err != nil || len(files) > 0 {
			t.Errorf("the check has left %v, %v", files, err)
		}
		st, err := boltstore.Open(t.Context(), boltstore.Options{Dir: cfg.DataDir})
		if err != nil {
			t.Fatal(err)
		}
		x, err := openExternal(cfg, externalOptions{store: st, logger: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, v := range x.all() {
			names = append(names, v.Name())
			if _, made := purge.As[unmade](v); made {
				t.Errorf("%s was not made", v.Name())
			}
		}
		if strings.Join(names, "") != "abcde" || x.source == nil || x.syncer == nil {
			t.Errorf("targets %q, source %v", names, x.source)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenExternal_TellsAllThatIsMissingAtOnce(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", t.TempDir())
	cfg := loadText(t, `targets:
  - {name: a, type: command, kinds: [user], command: /bin/true, env: {A: "${credential:a}", B: "${file:/nowhere/b}"}}
  - {name: c, type: postgres, dsn: "postgres://purger:${credential:c}@db/crm", kinds: {user: {table: users, tenant: tenant_id, key: [id]}}}
`+sources()[0])
	err := checkExternal(cfg)
	if exitCode(err) != exitConfig {
		t.Errorf("exit code %d", exitCode(err))
	}
	const missing = ": no such file or directory; want a file that can be read"
	for _, want := range []string{
		"targets[0] (a): env.A: ${credential:a}" + missing, "targets[0] (a): env.B: ${file:/nowhere/b}" + missing,
		"targets[1] (c): dsn: ${credential:c}" + missing,
	} {
		if err == nil || !strings.Contains("\n"+err.Error()+"\n", "\n"+want+"\n") {
			t.Errorf("%v\nlacks %s", err, want)
		}
	}
}
