package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tenantpurge/purger/store"
)

// bytesInFile counts how often a text is in the store's file.
func (f *fixture) bytesInFile(text string) int {
	f.t.Helper()
	b, err := os.ReadFile(filepath.Join(f.dir, FileName))
	f.must(err)
	return bytes.Count(b, []byte(text))
}

// bbolt leaves the bytes of deleted records in the file; compaction does not.
func TestCompact_G13_ForgetsWhatWasPurged(t *testing.T) {
	f := newFixture(t)
	f.create("gone", "")
	f.create("kept", "")
	f.fill("gone", 200)
	f.deactivate("gone")
	if !f.ErasedSince().IsZero() {
		t.Fatal("nothing was erased yet")
	}
	_, err := f.Claim(t.Context(), "gone", request(true))
	f.must(err)
	if f.bytesInFile("secret") == 0 {
		t.Fatal("the bytes are gone before compaction: this test proves nothing")
	}
	if got := f.ErasedSince(); !got.Equal(dueAt) {
		t.Errorf("erased since %v, want %v", got, dueAt)
	}
	before, err := f.Audit(t.Context(), 1, 100)
	f.must(err)
	_, err = f.Compact(t.Context())
	f.must(err)
	if n := f.bytesInFile("secret"); n > 0 {
		t.Errorf("%d records of the purged tenant are readable in the file", n)
	}
	if n := f.bytesInFile("Name of gone"); n > 0 {
		t.Error("the purged tenant's name is readable in the file")
	}
	if !f.ErasedSince().IsZero() {
		t.Error("a compacted store still says that it holds erased bytes")
	}
	f.check()
	f.create("new", "kept") // and it goes on
	after, err := f.Audit(t.Context(), 1, 100)
	f.must(err)
	if len(after) != len(before)+1 {
		t.Errorf("%d audit entries after compaction, want %d", len(after), len(before)+1)
	}
	f.must(f.Close())
	f.open()
	if _, err := f.Tenant(t.Context(), "new"); err != nil {
		t.Errorf("acknowledged after compaction and lost: %v", err)
	}
}

// Dropping buckets in transactions that also create and change others must
// leak no page; bbolt's own check, which is part of ours, would tell.
func TestPurge_ManyTreesInSharedTransactionsLeakNothing(t *testing.T) {
	f := newFixture(t)
	for i := range 60 {
		id := fmt.Sprintf("tree-%02d", i)
		f.create(id, "")
		f.create(id+"-sub", id)
		f.fill(id, 1+i*7%90) // from inline buckets to several pages
		f.deactivate(id)
	}
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			id := fmt.Sprintf("tree-%02d", i)
			if i%3 == 0 {
				if _, err := f.Create(t.Context(), store.Tenant{ID: fmt.Sprintf("new-%02d", i)}, at(epoch)); err != nil {
					t.Error(err)
				}
			}
			if c, err := f.Claim(t.Context(), id, request(true)); err != nil || c.Receipt == nil {
				t.Errorf("claim %s: %v", id, err)
			}
		})
	}
	wg.Wait()
	f.check()
}

// One change that fails after it wrote something must not undo or repeat the
// others that share its transaction.
func TestWrite_AFailingChangeSpoilsNoOther(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			if i%4 == 0 {
				_, err := f.ImportBatch(t.Context(), store.Batch{Tenants: []store.Tenant{
					{ID: fmt.Sprintf("half-%03d", i), Status: store.StatusActive},
					{ID: fmt.Sprintf("orphan-%03d", i), ParentID: "nobody", Status: store.StatusActive},
				}}, at(epoch))
				if store.CodeOf(err) != store.Invalid {
					t.Errorf("import: %v, want invalid", err)
				}
				return
			}
			_, err := f.ImportBatch(t.Context(), store.Batch{Tenants: []store.Tenant{{ID: fmt.Sprintf("ok-%03d", i), Status: store.StatusActive}}}, at(epoch))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list, err := f.Tenants(t.Context(), store.Filter{})
	f.must(err)
	if len(list) != 150 {
		t.Errorf("%d tenants, want 150", len(list))
	}
	for _, x := range list {
		if !strings.HasPrefix(x.ID, "ok-") {
			t.Errorf("half an import was kept: %q", x.ID)
		}
	}
	st, err := f.Stats(t.Context(), epoch)
	f.must(err)
	if st.AuditHead.Seq != 150 {
		t.Errorf("%d audit entries, want 150", st.AuditHead.Seq)
	}
}

func TestWrite_WithdrawnByItsContextBeforeItsTurn(t *testing.T) {
	f := newFixture(t)
	inside, leave := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = f.exclusive(func() error { close(inside); <-leave; return nil })
	})
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	go func() {
		_, err := f.Create(ctx, store.Tenant{ID: "late"}, at(epoch))
		errs <- err
	}()
	cancel()
	err := <-errs
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	close(leave)
	wg.Wait()
	if _, err := f.Tenant(t.Context(), "late"); store.CodeOf(err) != store.NotFound {
		t.Errorf("a withdrawn change was made: %v", err)
	}
}

// A write that fails at commit may be in the file or not: the store stops.
func TestCommit_G7_AnErrorStopsTheStoreAndLosesNothingAcknowledged(t *testing.T) {
	f := newFixture(t)
	f.create("before", "")
	full, err := unix.Open("/dev/full", unix.O_RDWR, 0)
	f.must(err)
	fd := f.descriptor()
	spare, err := unix.Dup(fd)
	f.must(err)
	f.must(unix.Dup2(full, fd)) // from here every write says ENOSPC
	_, err = f.Create(t.Context(), store.Tenant{ID: "during"}, at(epoch))
	if store.CodeOf(err) != store.Unavailable {
		t.Fatalf("got %v, want unavailable", err)
	}
	f.must(unix.Dup2(spare, fd)) // the disk is well again: the store must not go on
	f.must(errors.Join(unix.Close(full), unix.Close(spare)))
	if _, err := f.Create(t.Context(), store.Tenant{ID: "after"}, at(epoch)); store.CodeOf(err) != store.Unavailable {
		t.Fatalf("the store goes on after a commit of unknown outcome: %v", err)
	}
	if _, err := f.Tenant(t.Context(), "before"); store.CodeOf(err) != store.Unavailable {
		t.Fatalf("reading goes on: %v", err)
	}
	_ = f.Close()
	f.open()
	if _, err := f.Tenant(t.Context(), "before"); err != nil {
		t.Errorf("acknowledged and lost: %v", err)
	}
}

// descriptor finds the descriptor of the store's file.
func (f *fixture) descriptor() int {
	f.t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	f.must(err)
	for _, e := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == filepath.Join(f.dir, FileName) {
			var fd int
			_, err := fmt.Sscan(e.Name(), &fd)
			f.must(err)
			return fd
		}
	}
	f.t.Fatal("the store's file is not open")
	return 0
}

// Reading beyond the end of a file that was cut under the memory map is a
// SIGBUS, which must not end the process.
func TestView_AFileCutUnderTheDaemonIsAnErrorNotACrash(t *testing.T) {
	f := newFixture(t)
	f.create("a", "")
	f.fill("a", 3000)
	f.must(os.Truncate(filepath.Join(f.dir, FileName), int64(2*os.Getpagesize())))
	_, err := f.List(t.Context(), "a", store.KindUser, "", 1000)
	if store.CodeOf(err) != store.Internal {
		t.Fatalf("got %v, want internal", err)
	}
	// bbolt may hold its locks for ever now: nothing may wait for them.
	select {
	case <-f.Failed():
	default:
		t.Fatal("the store goes on after a fault")
	}
	if _, err := f.Create(t.Context(), store.Tenant{ID: "b"}, at(epoch)); store.CodeOf(err) != store.Unavailable {
		t.Fatalf("got %v, want unavailable", err)
	}
	if _, err := f.Stats(t.Context(), epoch); store.CodeOf(err) != store.Unavailable {
		t.Fatalf("got %v, want unavailable", err)
	}
}

func TestWrite_AFaultInAnyStepFailsTheStoreAndClosesIt(t *testing.T) {
	for name, cut := range map[string]func(f *fixture) error{
		"begin": func(f *fixture) error {
			f.must(os.Truncate(f.path, 0))
			_, err := f.Create(t.Context(), store.Tenant{ID: "b"}, at(epoch))
			return err
		},
		"commit": func(f *fixture) error {
			return f.write(t.Context(), foreground, func(w *wtx) error {
				for i := range 50 {
					if err := w.del(bucketIDs, fmt.Appendf(nil, "t%05d", i)); err != nil {
						return err
					}
				}
				return os.Truncate(f.path, int64(4*os.Getpagesize()))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			var b store.Batch
			for i := range 400 {
				b.Tenants = append(b.Tenants, store.Tenant{ID: fmt.Sprintf("t%05d", i), Status: store.StatusActive})
			}
			_, err := f.ImportBatch(t.Context(), b, at(epoch))
			f.must(err)
			if err := cut(f); err == nil {
				t.Fatal("no error")
			}
			<-f.Failed()
			_ = f.Close() // must return
		})
	}
}

func TestRemove_G13_IsRememberedUntilCompaction(t *testing.T) {
	for name, erase := range map[string]func(f *fixture) error{
		"remove": func(f *fixture) error { return f.Remove(t.Context(), "a", store.KindUser, "secret-000000") },
		"replace": func(f *fixture) error {
			return f.Put(t.Context(), []store.Resource{{TenantID: "a", Kind: store.KindUser, ID: "secret-000000"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.create("a", "")
			f.fill("a", 1)
			if !f.ErasedSince().IsZero() {
				t.Fatal("nothing was erased yet")
			}
			f.must(erase(f))
			if f.ErasedSince().IsZero() {
				t.Error("compaction would not know of it")
			}
		})
	}
}

func TestAudit_G8_AnActorThatIsNotUTF8DoesNotBreakTheChain(t *testing.T) {
	f := newFixture(t)
	_, err := f.Create(t.Context(), store.Tenant{ID: "a"}, store.Origin{Actor: store.Actor{ID: "bad\xffname"}, At: epoch})
	f.must(err)
	f.check()
}

// A backup holds a read transaction. A change made meanwhile must not wait for
// it, or a slow disk would stop the service.
func TestBackup_ChangesGoOnMeanwhile(t *testing.T) {
	f := newFixture(t)
	f.create("a", "")
	n := 0
	size, err := f.Backup(t.Context(), writerFunc(func(b []byte) (int, error) {
		id := fmt.Sprintf("during-%d", n)
		n++
		f.create(id, "")
		f.fill(id, 4000) // makes the file grow
		return len(b), nil
	}))
	f.must(err)
	if n == 0 || size == 0 {
		t.Fatalf("%d writes of %d bytes", n, size)
	}
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestStore_WorksInASyncTestBubble(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(t.Context(), store.Tenant{ID: "a"}, at(time.Now())); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestClose_RefusesWhatComesAfter(t *testing.T) {
	f := newFixture(t)
	f.must(f.Close())
	f.must(f.Close())
	if _, err := f.Create(t.Context(), store.Tenant{ID: "a"}, at(epoch)); store.CodeOf(err) != store.Unavailable {
		t.Errorf("create: %v", err)
	}
	if _, err := f.Tenant(t.Context(), "a"); store.CodeOf(err) != store.Unavailable {
		t.Errorf("read: %v", err)
	}
	if err := f.Check(t.Context()); store.CodeOf(err) != store.Unavailable {
		t.Errorf("check: %v", err)
	}
}
