package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// The registry of a target of type oauth is a secret of another kind: it is as large
// as it is, changes while the daemon runs, and is then read again.
func TestOpenExternal_G6_TheClientsOfAnAuthorizationServerAreThoseOfNow(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, fmt.Sprintf(`{"client_id":%q}`, filepath.Base(r.URL.Path)))
	}))
	defer server.Close()
	var lines strings.Builder
	add := func(tenantID string, i int) {
		fmt.Fprintf(&lines, `{"tenant_id":%q,"client_id":"c%d","registration_client_uri":"%s/reg/c%d","registration_access_token":"t%d"}`+"\n", tenantID, i, server.URL, i, i)
	}
	for i := range 2000 { // more than a secret may have
		add("globex", i)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "clients.jsonl")
	writeText(t, file, lines.String())
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	for _, reference := range []string{"${file:" + file + "}", "${credential:clients.jsonl}"} {
		cfg := loadText(t, fmt.Sprintf("targets: [{name: login, type: oauth, baseUrl: %q, clients: %q}]\n", server.URL, reference))
		if err := checkExternal(cfg, ""); err != nil {
			t.Fatal(err)
		}
		st, err := boltstore.Open(t.Context(), boltstore.Options{Dir: cfg.DataDir})
		if err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zapcore.WarnLevel)
		x, err := openExternal(cfg, externalOptions{store: st, logger: zap.New(core)})
		if err != nil {
			t.Fatal(err)
		}
		if warned := logs.FilterMessageSnippet("systemd copies a credential").Len() == 1; warned != strings.Contains(reference, "credential") {
			t.Errorf("%s: a warning that it stays as it is: %t", reference, warned)
		}
		for n := range 3 {
			if got, err := x.targets[0].Count(t.Context(), "acme", store.KindOAuthClient); err != nil || got != int64(n) {
				t.Errorf("%s: Count = %d, %v, want %d", reference, got, err, n)
			}
			add("acme", 2000+n)
			writeText(t, file, lines.String())
		}
		if changed := x.changedSecrets(); len(changed) > 0 {
			t.Errorf("%s: a restart is wanted for %q", reference, changed)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if got, err := x.targets[0].Count(t.Context(), "acme", store.KindOAuthClient); err == nil {
			t.Errorf("%s: Count = %d without a registry", reference, got)
		}
		want := "targets[0] (login): clients: open " + file + ": no such file or directory"
		if err := checkExternal(cfg, ""); exitCode(err) != exitConfig || !slices.Contains(strings.Split(err.Error(), "\n"), want) {
			t.Errorf("%s: %v, want %s", reference, err, want)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		lines.Reset()
		add("globex", 1)
		writeText(t, file, lines.String())
	}
}
