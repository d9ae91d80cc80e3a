package oauthtarget_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/oauthtarget"
	"github.com/tenantpurge/purger/store"
)

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journal")
	registry := filepath.Join(t.TempDir(), "clients.jsonl")
	line := `{"tenant_id":"acme","client_id":"1","registration_client_uri":"https://l.example.com/1","registration_access_token":"secret"}`
	sound := oauthtarget.Config{Name: "login", BaseURL: "https://l.example.com", Clients: registry, Journal: journal}
	rewrite(t, registry, line+"\n\n")
	target, err := oauthtarget.New(sound, oauthtarget.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = target.Close()
	for name, c := range map[string]struct {
		field  string
		change func(*oauthtarget.Config)
	}{
		"name":       {"name", func(c *oauthtarget.Config) { c.Name = "" }},
		"store":      {"name", func(c *oauthtarget.Config) { c.Name = "store" }},
		"parallel":   {"parallel", func(c *oauthtarget.Config) { c.Parallel = 257 }},
		"no clients": {"clients", func(c *oauthtarget.Config) { c.Clients = "" }},
		"no file":    {"clients", func(c *oauthtarget.Config) { c.Clients += ".none" }},
		"no journal": {"journal", func(c *oauthtarget.Config) { c.Journal = "" }},
		"no host":    {"baseUrl", func(c *oauthtarget.Config) { c.BaseURL = "" }},
		"not json":   {"clients", func(c *oauthtarget.Config) { rewrite(t, c.Clients, `{"registration_access_token":"secret"`) }},
		"twice": {"clients", func(c *oauthtarget.Config) {
			rewrite(t, c.Clients, line+"\n"+strings.Replace(line, "acme", "globex", 1))
		}},
		"no tenant": {"clients", func(c *oauthtarget.Config) { rewrite(t, c.Clients, strings.Replace(line, "acme", "a b", 1)) }},
		"no id":     {"clients", func(c *oauthtarget.Config) { rewrite(t, c.Clients, strings.Replace(line, `"1"`, `""`, 1)) }},
		"no URL":    {"clients", func(c *oauthtarget.Config) { rewrite(t, c.Clients, strings.Replace(line, "https://", "", 1)) }},
		"user info": {"clients", func(c *oauthtarget.Config) {
			rewrite(t, c.Clients, strings.Replace(line, "https://", "https://u:secret@", 1))
		}},
		"no token": {"clients", func(c *oauthtarget.Config) { rewrite(t, c.Clients, strings.Replace(line, "secret", `secret\nX: y`, 1)) }},
	} {
		cfg := sound
		rewrite(t, registry, line)
		c.change(&cfg)
		_, err := oauthtarget.New(cfg, oauthtarget.Options{})
		var e *store.Error
		if !errors.As(err, &e) || e.Code != store.Invalid || e.Field != c.field || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
