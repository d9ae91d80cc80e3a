package resttarget_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/purge/targettest"
	"github.com/tenantpurge/purger/store"
)

const readyDir = "../../deploy/targets"

// load reads a ready-made file, with the secret "secret" and the product at base.
func load(t *testing.T, file, base string) resttarget.Config {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(readyDir, file))
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`\$\{credential:[a-z0-9-]+\}`).ReplaceAll(text, []byte("secret"))
	var doc struct {
		Targets []struct {
			Type              string
			resttarget.Config `yaml:",inline"`
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(doc.Targets) != 1 || doc.Targets[0].Type != "rest" {
		t.Fatalf("%s: %d targets, the first of type %q; want one of type rest", file, len(doc.Targets), doc.Targets[0].Type)
	}
	cfg := doc.Targets[0].Config
	if !strings.HasPrefix(cfg.BaseURL, "https://") {
		t.Errorf("%s: baseUrl %q", file, cfg.BaseURL)
	}
	// As it stands it is sound, but for the host.
	if _, err := resttarget.New(cfg, resttarget.Options{}); err != nil {
		t.Errorf("%s: %v", file, err)
	}
	host := regexp.MustCompile(`^https://[^/]+`)
	cfg.BaseURL = host.ReplaceAllString(cfg.BaseURL, base)
	cfg.Auth.OAuth.TokenURL = host.ReplaceAllString(cfg.Auth.OAuth.TokenURL, base)
	return cfg
}

func TestReady_EachFileHasItsImitation(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(readyDir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	imitated := map[string]bool{}
	for _, p := range products() {
		imitated[p.file] = true
	}
	readme, err := os.ReadFile(filepath.Join(readyDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		if slices.Contains([]string{"postgres.yaml", "rest.yaml", "scim.yaml", "oauth.yaml", "command.yaml"}, name) {
			continue // they document a type, and are of no product
		}
		if !imitated[name] {
			t.Errorf("%s is not exercised", name)
		}
		delete(imitated, name)
		if !strings.Contains(string(readme), "`"+name+"`") {
			t.Errorf("README.md does not tell of %s", name)
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"# Written from:", "Not run against", "# Replace:"} {
			if !strings.Contains(strings.ReplaceAll(string(text), "\n# ", " "), strings.TrimPrefix(want, "# ")) {
				t.Errorf("%s does not say %q", name, want)
			}
		}
	}
	if len(imitated) > 0 {
		t.Errorf("no file for %v", imitated)
	}
}

func TestReady_FilesPurgeTheirProducts(t *testing.T) {
	for _, p := range products() {
		t.Run(p.file, func(t *testing.T) {
			target := newTarget(t, load(t, p.file, serveProduct(t, p)))
			ctx := context.Background()
			for _, kind := range p.kinds {
				for tenant, n := range map[string]int{"acme": 1203, "ACME": 3, "acme-1": 5} {
					if err := p.add(tenant, kind, n); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := target.Check(ctx); err != nil {
				t.Errorf("Check: %v", err)
			}
			if findings, err := target.Diagnose(ctx); err != nil || len(findings) > 0 && findings[0].Severity == purge.SeverityError {
				t.Errorf("Diagnose: %+v, %v", findings, err)
			}
			for _, kind := range p.kinds {
				if n, err := target.Count(ctx, "acme", kind); err != nil || n != 1203 {
					t.Errorf("Count of %s = %d, %v; want 1203", kind, n, err)
				}
				if got := drain(t, target, purge.Request{TenantID: "acme", Kind: kind, Limit: 5000}); got != 1203 {
					t.Errorf("removed %d %s, want 1203", got, kind)
				}
				if n, err := target.Count(ctx, "acme", kind); err != nil || n != 0 {
					t.Errorf("Count of %s after the purge = %d, %v", kind, n, err)
				}
				for tenant, want := range map[string]int64{"acme": 0, "ACME": 3, "acme-1": 5} {
					if n, _ := p.left(tenant, kind); n != want {
						t.Errorf("%s has %d %s, want %d", tenant, n, kind, want)
					}
				}
			}
			p.auth = "Bearer another"
			if err := target.Check(ctx); store.CodeOf(err) != store.Unauthenticated {
				t.Errorf("Check with a credential that is not taken: %v", err)
			}
		})
	}
}

func TestReady_FilesConform(t *testing.T) {
	for i, p := range products() {
		if p.always {
			continue // such a delete cannot be told from one that did something
		}
		t.Run(p.file, func(t *testing.T) {
			t.Parallel()
			targettest.Run(t, targettest.Harness{Many: 230, New: func(t *testing.T) targettest.System {
				p := products()[i]
				return targettest.System{
					Target: newTarget(t, load(t, p.file, serveProduct(t, p))), Add: p.add, Left: p.left,
					Break: func() {
						p.mu.Lock()
						defer p.mu.Unlock()
						p.auth = "another"
					},
				}
			}})
		})
	}
}

// serveProduct serves an imitation on loopback and returns its URL.
func serveProduct(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}
