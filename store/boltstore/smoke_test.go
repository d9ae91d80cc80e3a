package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

func TestSmoke(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s, err := Open(ctx, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := store.Origin{Actor: store.Actor{ID: "me"}, At: now}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.Create(ctx, store.Tenant{ID: "a", Name: "secret-name"}, o)
	must(err)
	for i := range 5 {
		_, err = s.Create(ctx, store.Tenant{ID: fmt.Sprint("a", i), ParentID: "a"}, o)
		must(err)
	}
	var rs []store.Resource
	for i := range 60000 {
		rs = append(rs, store.Resource{TenantID: fmt.Sprint("a", i%5), Kind: store.Kinds()[i%4], ID: fmt.Sprint("secret-id-", i*7919%60000)})
	}
	for i := 0; i < len(rs); i += 1000 {
		must(s.Put(ctx, rs[i:i+1000]))
	}
	must(s.Check(ctx))
	_, err = s.Update(ctx, "a", store.Update{Origin: o, Change: store.Deactivate(10, store.Grace{}, nil)})
	must(err)
	later := store.Origin{Actor: o.Actor, At: now.Add(240 * time.Hour)}
	c, err := s.Due(ctx, later.At, store.Cursor{}, 10)
	must(err)
	if len(c) != 1 {
		t.Fatal(c)
	}
	st, err := s.Stats(ctx, later.At)
	must(err)
	if st.Due != 1 {
		t.Fatal(st)
	}
	cl, err := s.Claim(ctx, "a", store.ClaimRequest{Origin: later, Owner: "x", Lease: time.Minute, Inline: true})
	must(err)
	if cl.Receipt != nil {
		t.Fatal("inline")
	}
	must(s.Close())
	s, err = Open(ctx, Options{Dir: dir})
	must(err)
	must(s.Check(ctx))
	cl, err = s.Resume(ctx, "a", store.ClaimRequest{Origin: later, Owner: "x", Lease: time.Minute, Inline: true})
	must(err)
	n := 0
	for {
		e, err := s.Erase(ctx, cl.Token, later.At, time.Minute)
		must(err)
		n++
		must(s.Check(ctx))
		if !e.More {
			break
		}
	}
	r, err := s.Finish(ctx, cl.Token, store.Verification{At: later.At})
	must(err)
	t.Log(n, r.Deleted)
	must(s.Check(ctx))
	_, err = s.Compact(ctx)
	must(err)
	must(s.Check(ctx))
	b, err := os.ReadFile(filepath.Join(dir, FileName))
	must(err)
	if bytes.Contains(b, []byte("secret")) {
		t.Fatal("still there")
	}
	var buf bytes.Buffer
	_, err = s.Backup(ctx, &buf)
	must(err)
	must(s.Close())
}
