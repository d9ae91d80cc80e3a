package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store/boltstore"
)

// everyTarget is a configuration with a target of every type.
const everyTarget = `targets:
  - {name: a, type: command, kinds: [user], command: /bin/true}
  - {name: b, type: oauth, baseUrl: "https://id.example.com"}
  - {name: c, type: postgres, dsn: "postgres://db/crm?sslmode=verify-full", kinds: {user: {table: users, tenant: tenant_id, key: [id]}}}
  - {name: d, type: rest, baseUrl: "https://api.example.com", kinds: {user: {list: {url: "/users?tenant={tenant}", id: id}, delete: {url: "/users/{id}"}}}}
  - {name: e, type: scim, baseUrl: "https://scim.example.com", resources: [{kind: user, endpoint: /Users, attribute: externalId}]}
`

// sources are those of every type.
func sources() []string {
	return []string{
		"source: {type: postgres, dsn: \"postgres://db/crm?sslmode=verify-full\", query: \"SELECT id, status FROM tenants\"}\n",
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
		if err := checkExternal(cfg, ""); err != nil {
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

// A doctor knows what others purge by the same role, and no secret of theirs.
func TestBeside_IsWhatHasTheSameDSN(t *testing.T) {
	of := func(name, dsn string) config.Target {
		return config.Target{Name: name, Type: "postgres", Options: postgrestarget.Config{DSN: dsn, Ledger: name}}
	}
	cfg := config.Config{Targets: []config.Target{
		of("a", "host=one"), of("b", "host=one"), of("c", "host=two"), {Name: "d", Options: resttarget.Config{}}, of("e", "host=one"),
	}}
	want := []postgrestarget.Config{{Name: "a", Ledger: "a"}, {Name: "e", Ledger: "e"}}
	if diff := cmp.Diff(want, beside(cfg, cfg.Targets[1])); diff != "" {
		t.Errorf("beside (-want +got):\n%s", diff)
	}
	if got := beside(cfg, cfg.Targets[2]); got != nil {
		t.Errorf("beside c: %+v", got)
	}
}

func TestOpenExternal_TellsAllThatIsMissingAtOnce(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", t.TempDir())
	cfg := loadText(t, `targets:
  - {name: a, type: command, kinds: [user], command: /bin/true, env: {A: "${credential:a}", B: "${file:/nowhere/b}"}}
  - {name: c, type: postgres, dsn: "postgres://purger:${credential:c}@db/crm?sslmode=verify-full", kinds: {user: {table: users, tenant: tenant_id, key: [id]}}}
`+sources()[0])
	err := checkExternal(cfg, "")
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

// What the repository offers to be copied is what "config check" takes once its
// credentials are there: the ready-made targets, those in comments and in documents, and
// the example.
func TestReadyMade_IsWhatConfigCheckTakes(t *testing.T) {
	texts := map[string]string{}
	for _, pattern := range []string{"deploy/targets/*.yaml", "deploy/sources/*.yaml", "deploy/example/*/purger.yaml"} {
		files, err := filepath.Glob("../../" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			texts[strings.TrimPrefix(file, "../../")] = readText(t, file)
		}
	}
	_, script, _ := strings.Cut(readText(t, "../../deploy/targets/command-example.sh"), "#\ttargets:\n")
	script, _, _ = strings.Cut(script, "\n#\n")
	here, err := filepath.Abs("../../deploy/targets")
	if err != nil {
		t.Fatal(err)
	}
	// It is not installed on this machine, and its user may not be there.
	texts["command-example.sh"] = "targets:\n" + strings.NewReplacer("#\t", "", "/usr/local/lib/purger", here, "    user: files\n", "").Replace(script+"\n")
	blocks := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")
	for _, document := range []string{"README.md", "deploy/targets/README.md"} {
		found := blocks.FindAllStringSubmatch(readText(t, "../../"+document), -1)
		if len(found) == 0 {
			t.Errorf("%s has no block", document)
		}
		for _, block := range found {
			texts[document+": "+strings.SplitN(block[1], "\n", 2)[0]] = block[1]
		}
	}
	if len(texts) < 18 {
		t.Errorf("%d texts are too few to be all of them", len(texts))
	}
	secret := regexp.MustCompile(`\$\{(?:credential:|file:/etc/purger/)([^}]+)\}`)
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("CREDENTIALS_DIRECTORY", dir)
			text = strings.NewReplacer("$DATA", filepath.Join(dir, "data"), "$DSN", "postgres://purger@127.0.0.1/app").Replace(text)
			for _, m := range secret.FindAllStringSubmatch(text, -1) {
				secret := "hunter2\n"
				if strings.HasSuffix(m[1], ".jsonl") { // the registry of an oauth target
					secret = `{"tenant_id":"acme","client_id":"one","registration_client_uri":"https://login.example.com/reg/one","registration_access_token":"hunter2"}` + "\n"
				}
				writeText(t, filepath.Join(dir, m[1]), secret)
			}
			text = strings.NewReplacer("/etc/purger/", dir+"/", "/usr/local/lib/purger/", here+"/").Replace(text)
			path := filepath.Join(dir, "purger.yaml")
			writeText(t, path, text)
			var out, failed bytes.Buffer
			if code := run(t.Context(), nil, []string{"config", "check", path}, nil, &out, &failed); code != exitOK {
				t.Errorf("exit code %d\n%s", code, failed.String())
			}
		})
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
