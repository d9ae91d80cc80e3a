package oauthtarget_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/oauthtarget"
)

// large writes a registry of n clients, ten to a tenant, that was changed long ago.
func large(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clients.jsonl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range n {
		_, _ = w.WriteString(registered(fmt.Sprintf("tenant-%d", i/10), oauthtarget.Client{
			ID: fmt.Sprintf("client-%d", i), URI: fmt.Sprintf("https://login.example.com/reg/client-%d", i), Token: fmt.Sprintf("token-%040d", i),
		}))
	}
	past := time.Now().Add(-time.Hour)
	if err := errors.Join(w.Flush(), f.Close(), os.Chtimes(path, past, past)); err != nil {
		t.Fatal(err)
	}
	return path
}

func BenchmarkOpenRegistry_AMillionClients(b *testing.B) {
	path := large(b, 1e6)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := oauthtarget.OpenRegistry(path); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFileRegistry_OneTenantOfAMillionClients(b *testing.B) {
	r, err := oauthtarget.OpenRegistry(large(b, 1e6))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if list, err := r.Clients(b.Context(), "tenant-4711"); err != nil || len(list) != 10 {
			b.Fatal(len(list), err)
		}
	}
}
