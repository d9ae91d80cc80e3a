package boltstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

// disk lets a test say how much room there is.
type disk struct{ free atomic.Int64 }

// on puts the store of a fixture on the disk.
func (d *disk) on(f *fixture) {
	d.free.Store(1 << 40)
	f.freeSpace = func(string) (int64, error) { return d.free.Load(), nil }
}

// wantNoRoom wants a refusal for want of room, and returns it.
func wantNoRoom(t *testing.T, what string, err error) {
	t.Helper()
	var full *store.SpaceError
	if !errors.As(err, &full) || store.CodeOf(err) != store.Exhausted {
		t.Errorf("%s: %v; want a refusal for want of room", what, err)
	}
}

// On a disk that fills up purging stops first, then what people change; reading
// goes on. Nothing is written by what is refused, and it works once there is
// room.
func TestSpace_PurgingStopsBeforePeopleDoAndBothGoOn(t *testing.T) {
	f := newFixture(t)
	f.opt.TxTarget = time.Nanosecond
	var d disk
	d.on(f)
	for _, id := range []string{"a", "b", "c", "d"} {
		f.create(id, "")
	}
	f.fill("b", 2*segmentRows/4)
	f.deactivate("a")
	f.deactivate("b")
	begun, err := f.Claim(t.Context(), "b", request(true))
	f.must(err)
	if begun.Receipt != nil {
		t.Fatal("the purge of b has ended in one step")
	}
	steps := map[string]func() error{
		"claim": func() error { _, err := f.Claim(t.Context(), "a", request(true)); return err },
		"erase": func() error { _, err := f.Erase(t.Context(), begun.Token, dueAt, time.Minute); return err },
		"begin an import": func() error {
			return f.BeginImport(t.Context(), store.Import{Digest: "x"}, at(epoch))
		},
		"import": func() error {
			b := store.Batch{Tenants: []store.Tenant{{ID: "new", Status: store.StatusActive}}}
			_, err := f.ImportBatch(t.Context(), b, at(epoch))
			return err
		},
		"put": func() error {
			return f.Put(t.Context(), []store.Resource{{TenantID: "c", Kind: store.KindUser, ID: "u"}})
		},
	}
	changes := map[string]func() error{
		"deactivate": func() error {
			_, err := f.Update(t.Context(), "c", store.Update{Origin: at(epoch), Change: store.Deactivate(10, store.Grace{}, nil)})
			return err
		},
		"reactivate": func() error {
			_, err := f.Update(t.Context(), "a", store.Update{Origin: at(epoch), Change: store.Reactivate()})
			return err
		},
		"pause": func() error {
			_, err := f.ChangeGates(t.Context(), store.PausePurging("full", time.Time{}), at(epoch))
			return err
		},
		"keep a pass": func() error { return f.RecordRun(t.Context(), store.Run{FinishedAt: store.Timestamp{Time: epoch}}) },
	}
	gate := func(want string) {
		t.Helper()
		g, err := f.Gates(t.Context())
		f.must(err)
		got := ""
		if c := g.Closed(epoch); len(c) > 0 && c[len(c)-1].Reason == store.GateSpace {
			got = c[len(c)-1].Detail
		}
		if got != want {
			t.Errorf("gate %q; want %q", got, want)
		}
	}
	text := func() string {
		own := int64(f.db.Stats().FreePageN) * f.pageSize
		return store.Space{Dir: f.dir, Free: d.free.Load() + own, Want: stepRoom}.String()
	}

	d.free.Store(leastRoom - 1<<20)
	head := f.head
	for what, do := range steps {
		wantNoRoom(t, what, do())
	}
	for what, do := range changes {
		wantNoRoom(t, what, do())
	}
	if f.head != head || f.failure() != nil {
		t.Errorf("something was written: %+v, %v", f.head, f.failure())
	}
	if c, err := f.Count(t.Context(), "b"); err != nil || c.Resources() == 0 {
		t.Errorf("reading on a full disk: %+v, %v", c, err)
	}
	gate(text())

	d.free.Store(leastRoom)
	for what, do := range steps {
		wantNoRoom(t, what, do())
	}
	f.must(f.Yield(t.Context(), begun.Token, dueAt))
	for what, do := range changes {
		if err := do(); err != nil {
			t.Errorf("%s with room for it: %v", what, err)
		}
	}
	gate(text())

	d.free.Store(1 << 30)
	gate("")
	_, err = f.ChangeGates(t.Context(), store.ResumePurging("room", 0), at(epoch))
	f.must(err)
	again, err := f.Resume(t.Context(), "b", request(true))
	f.must(err)
	d.free.Store(leastRoom)
	_, err = f.Finish(t.Context(), again.Token, store.Verification{At: dueAt})
	wantNoRoom(t, "finish", err)
	f.must(f.Yield(t.Context(), again.Token, dueAt))
	_, err = f.Resume(t.Context(), "b", request(true))
	wantNoRoom(t, "resume", err)
	d.free.Store(stepRoom)
	again, err = f.Resume(t.Context(), "b", request(true))
	f.must(err)
	if r := f.complete(again.Token); r.Planned != r.Deleted {
		t.Errorf("receipt %+v", r)
	}
}

// Free pages of the file are used first, but they may be too scattered.
func TestSpace_FreePagesCountForHalfAtMost(t *testing.T) {
	f := newFixture(t)
	var d disk
	d.on(f)
	f.create("a", "")
	data := []byte(`{"x":"` + strings.Repeat("x", 40_000) + `"}`)
	for i := range 20 {
		var batch []store.Resource
		for j := range 50 {
			batch = append(batch, store.Resource{TenantID: "a", Kind: store.KindUser, ID: fmt.Sprint(i, "-", j), Data: data})
		}
		f.must(f.Put(t.Context(), batch))
	}
	f.deactivate("a")
	c, err := f.Claim(t.Context(), "a", request(true))
	f.must(err)
	f.complete(c.Token)
	f.create("b", "") // so that the pages are free and not pending
	if own := int64(f.db.Stats().FreePageN) * f.pageSize; own < stepRoom/2 {
		t.Fatalf("%d bytes of the file are free; want more", own)
	}
	for free, open := range map[int64]bool{stepRoom / 2: true, stepRoom/2 - 1: false} {
		d.free.Store(free)
		g, err := f.Gates(t.Context())
		f.must(err)
		if (g.Space == nil) != open {
			t.Errorf("%d bytes free: gate %+v", free, g.Space)
		}
	}
}

func TestSpace_ACompactionThatMightNotFitIsNotBegun(t *testing.T) {
	f := newFixture(t)
	var d disk
	d.on(f)
	f.create("a", "")
	f.fill("a", 4000)
	live, err := f.live()
	f.must(err)
	d.free.Store(live + leastRoom)
	_, err = f.Compact(t.Context())
	wantNoRoom(t, "compact", err)
	entries, err := os.ReadDir(f.dir)
	f.must(err)
	if len(entries) != 1 {
		t.Errorf("files were left: %v", entries)
	}
	d.free.Store(live + live/8 + leastRoom)
	_, err = f.Compact(t.Context())
	f.must(err)
	f.create("b", "a")
}

// A backup needs no room on the store's disk, and closing without room only
// leaves the list of free pages out.
func TestSpace_BackupAndCloseNeedNone(t *testing.T) {
	f := newFixture(t)
	var d disk
	d.on(f)
	f.create("a", "")
	d.free.Store(0)
	_, err := f.Backup(t.Context(), io.Discard)
	f.must(err)
	f.must(f.Close())
	if h, err := inspect(f.path); err != nil || h.synced {
		t.Errorf("synced %v, %v", h.synced, err)
	}
	f.open()
}

func TestSpace_ADiskThatCannotBeAskedIsNoObstacle(t *testing.T) {
	f := newFixture(t)
	f.freeSpace = func(string) (int64, error) { return 0, errors.New("no answer") }
	f.create("a", "")
	f.deactivate("a")
	if _, err := f.Claim(t.Context(), "a", request(true)); err != nil {
		t.Error(err)
	}
}

func TestFreeSpace_NamesTheDirectory(t *testing.T) {
	if free, err := freeSpace(t.TempDir()); err != nil || free <= 0 {
		t.Errorf("%d, %v", free, err)
	}
	if _, err := freeSpace("/nowhere/at/all"); err == nil || !strings.Contains(err.Error(), "/nowhere/at/all") {
		t.Errorf("%v", err)
	}
}
