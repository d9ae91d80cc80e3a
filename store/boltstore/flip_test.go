package boltstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// Bytes that flip in a page of whatever kind are an error, or are not noticed
// where they are data; they never end the process or keep it waiting. What is
// said of the structure is found by Check.
func TestOpen_FlippedBytesInAnyKindOfPageAreNeverAPanic(t *testing.T) {
	f := newFixture(t)
	f.create("a", "")
	f.create("a-1", "a")
	f.fill("a", 400) // several leaves below a branch
	f.must(f.Put(t.Context(), []store.Resource{{TenantID: "a", Kind: store.KindUser, ID: "big", Data: []byte(`{"x":"` + strings.Repeat("x", 9000) + `"}`)}}))
	for i := range 100 {
		f.create(fmt.Sprintf("t-%03d", i), "")
	}
	f.deactivate("a-1")
	for _, id := range []string{"t-000", "t-001"} { // so that there are free pages
		f.deactivate(id)
		_, err := f.Claim(t.Context(), id, request(true))
		f.must(err)
	}
	killed, err := os.ReadFile(f.path)
	f.must(err)
	f.must(f.Close())
	closed, err := os.ReadFile(f.path)
	f.must(err)
	t.Run("closed", func(t *testing.T) { f.flip(t, closed, "meta", "freelist", "branch", "leaf", "overflow") })
	t.Run("killed", func(t *testing.T) { f.flip(t, killed, "meta", "branch", "leaf", "overflow") })
	f.open()
}

// flip damages a file in many ways, one at a time, and uses it.
func (f *fixture) flip(t *testing.T, whole []byte, want ...string) {
	h, err := inspect(f.path)
	f.must(err)
	whole = whole[:int(h.high)*h.page] // what is behind that is empty
	kinds := pagesByKind(t, whole)
	for _, kind := range want {
		if len(kinds[kind]) == 0 {
			t.Errorf("there is no page of kind %s", kind)
		}
	}
	size := int(f.pageSize)
	rng := rand.New(rand.NewPCG(1, 2))
	try := func(b []byte) error {
		// A file of its own: after a fault bbolt may keep its lock.
		dir := t.TempDir()
		f.must(os.WriteFile(filepath.Join(dir, FileName), b, 0o600))
		return useAll(dir)
	}
	found := map[string]int{}
	tries := map[string]int{}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) { // the same in every run
		pages := kinds[kind]
		for range 30 {
			at := pages[rng.IntN(len(pages))] * size
			off := at + rng.IntN(size)
			if rng.IntN(2) == 0 && kind != "overflow" {
				off = at + rng.IntN(80) // the header and the first elements
			}
			damage := byte(1 + rng.IntN(255))
			tries[kind]++
			whole[off] ^= damage
			if err := try(whole); err != nil {
				found[kind]++
			}
			whole[off] ^= damage
		}
	}
	t.Logf("found %v of %v", found, tries)
	for _, kind := range []string{"branch", "leaf"} {
		if found[kind] < tries[kind]/4 {
			t.Errorf("of %d damaged pages of kind %s only %d were found", tries[kind], kind, found[kind])
		}
	}
	f.must(try(whole)) // the control: without damage all is well
}

// useAll opens the store in dir and does all that a daemon does to it.
func useAll(dir string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s, err := Open(ctx, Options{Dir: dir, MmapSize: 1 << 20})
	if err != nil {
		return err
	}
	defer func() { // what was found first counts
		if closed := s.Close(); err == nil {
			err = closed
		}
	}()
	for _, do := range []func() error{
		func() error { return s.Check(ctx) },
		func() error { _, err := s.Stats(ctx, dueAt); return err },
		func() error { _, err := s.Tenants(ctx, store.Filter{}); return err },
		func() error { _, err := s.Due(ctx, dueAt, store.Cursor{}, 10); return err },
		func() error {
			_, err := s.Update(ctx, "a", store.Update{Origin: at(epoch), Change: store.Deactivate(10, store.Grace{}, nil)})
			return err
		},
		func() error { _, err := s.Claim(ctx, "a", request(true)); return err },
		func() error { return s.Check(ctx) },
	} {
		if e := do(); e != nil && err == nil {
			err = e
		}
	}
	return err
}

// pagesByKind returns the numbers of the pages of each kind. A page that goes on
// with the one before it is of kind "overflow".
func pagesByKind(t *testing.T, b []byte) map[string][]int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string][]int{}
	err = db.View(func(tx *bolt.Tx) error {
		size := tx.DB().Info().PageSize
		for id := 0; int64(id*size) < tx.Size(); {
			p, err := tx.Page(id)
			if err != nil || p == nil {
				return err
			}
			kinds[p.Type] = append(kinds[p.Type], id)
			over := int(binary.NativeEndian.Uint32(b[id*size+12:]))
			if p.Type == "free" {
				over = 0
			}
			for i := range over {
				kinds["overflow"] = append(kinds["overflow"], id+1+i)
			}
			id += 1 + over
		}
		return nil
	})
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return kinds
}
