package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// load writes the text into a file and loads it.
func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "purger.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

// document returns the YAML that sets one key.
func document(key, value string) string {
	var b strings.Builder
	names := strings.Split(key, ".")
	for i, name := range names {
		fmt.Fprintf(&b, "%s%s:", strings.Repeat("  ", i), name)
		if i < len(names)-1 {
			b.WriteString("\n")
		}
	}
	fmt.Fprintf(&b, " %s\n", value)
	return b.String()
}

// other returns a sound value for each key that is not the default.
func other() map[string]string {
	return map[string]string{
		"dataDir": "/var/lib/purger", "log.level": "debug", "log.format": "json",
		"web.listenAddress": `"[::1]:0"`, "web.configFile": "/dev/null",
		"tenants.gracePeriod.min": "1", "tenants.gracePeriod.max": "3650", "tenants.gracePeriod.default": "45",
		"tenants.protected": `[acme, "007", a.b_c:d-e]`,
		"purge.schedule":    `"@every 90s"`, "purge.concurrency": "1", "purge.attempts": "3",
		"purge.backoff.initial": "1s", "purge.backoff.max": "168h", "purge.callTimeout": "45s", "purge.lease": "90s",
		"purge.drainTimeout": "1m30s", "limits.perPass": "0", "limits.perDay": "7", "limits.perDayShare": "1",
		"limits.perDayShareFloor": "0", "limits.batch": "1", "web.insecure": "true", "api.immediateDelete": "never", "api.confirmHostname": "optional",
		"api.syncTimeout": "1s", "api.auth.issuer": "https://id.example.com/realms/ops", "api.auth.audience": "purger",
		"api.auth.keysFile": "/dev/null", "api.auth.rolesClaim": "realm_access.roles", "api.auth.roles": "{sre: operator, \"7\": viewer}",
		"api.auth.tenantClaim": "org", "api.auth.requireNotBefore": "false", "api.auth.clockSkew": "0s",
		"api.socket.roles": `{"group:purger": operator, "uid:0": super_admin}`, "api.limits.concurrency": "1",
		"api.limits.perSubject": "0", "api.limits.burst": "1", "api.gate.unknown": "allow", "api.gate.anonymous": "never",
		"api.approvals.delete": "2", "api.approvals.resume": "2", "api.approvals.expire": "1m",
		"targets":                 `[{name: crm, type: postgres, dsn: "postgres://db/crm?sslmode=verify-full", kinds: {user: {table: users, tenant: tenant_id}}, policy: {rate: 2.5}}]`,
		"source":                  `{type: postgres, every: 1m, dsn: "postgres://db/crm?sslmode=verify-full"}`,
		"store.transactionTarget": "2.5ms", "store.mmapSize": "64MiB", "store.compactAfter": "0s", "store.importTempDir": "/tmp",
	}
}

// full returns a file that sets every key to another value than the default.
func full() string {
	root := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, f := range schema() {
		names := strings.Split(f.key, ".")
		parent := root
		for _, n := range names[:len(names)-1] {
			parent = child(parent, n)
		}
		var value yaml.Node
		if err := yaml.Unmarshal([]byte(other()[f.key]), &value); err != nil {
			panic(err)
		}
		parent.Content = append(parent.Content, node(strTag, names[len(names)-1]), value.Content[0])
	}
	text, err := yaml.Marshal(root)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestValidate_SaysTheSameAsLoad(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	c := Default()
	c.DataDir = ""
	c.Tenants.GracePeriod = store.Grace{Min: 20, Max: 10, Default: 0}
	c.Tenants.Protected = []string{"a", "a", "-"}
	c.Purge.Schedule = "@never"
	c.Purge.CallTimeout = time.Hour
	c.Limits.PerDayShare = 1.5
	c.API.ImmediateDelete = "maybe"
	c.Web.ListenAddress = "nowhere"
	err := c.Validate()
	var problems *Problems
	if !errors.As(err, &problems) {
		t.Fatalf("%v", err)
	}
	var fields []string
	for _, p := range problems.List {
		if p.File != "" || p.Line != 0 {
			t.Errorf("%s: a place in a file, and there is none", p)
		}
		fields = append(fields, p.Field)
	}
	want := []string{"dataDir", "web.listenAddress", "tenants.gracePeriod.default", "tenants.protected", "tenants.protected",
		"purge.schedule", "limits.perDayShare", "api.immediateDelete", "tenants.gracePeriod.max", "purge.lease"}
	if !slices.Equal(fields, want) {
		t.Errorf("the problems are those of %q, want %q\n%v", fields, want, err)
	}
	if err := (Config{}).Validate(); err == nil {
		t.Error("the zero value is valid")
	}
}

func TestPurgeSettings_AreTheEnginesDefaultsAndFollowTheFile(t *testing.T) {
	if diff := cmp.Diff(purge.DefaultSettings(), Default().PurgeSettings()); diff != "" {
		t.Errorf("the defaults differ: %s", diff)
	}
	c, err := load(t, full())
	if err != nil {
		t.Fatal(err)
	}
	want := purge.Settings{
		Concurrency: 1, Batch: 1, Attempts: 3, BackoffInitial: time.Second, BackoffMax: 168 * time.Hour,
		CallTimeout: 45 * time.Second, Lease: 90 * time.Second, PerPass: 0,
		Limits: store.Limits{PerDay: 7, PerDayShare: 1}, Grace: store.Grace{Min: 1, Max: 3650, Default: 45},
		Protected: []string{"acme", "007", "a.b_c:d-e"}, ImmediateDelete: purge.DeleteNever, SourceMaxAge: time.Hour,
	}
	got := c.PurgeSettings()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got.Protected[0] = "globex"
	if c.Tenants.Protected[0] != "acme" {
		t.Error("the settings share the list of the configuration")
	}
}
