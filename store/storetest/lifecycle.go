package storetest

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tenantpurge/purger/store"
)

func lifecycleCases() []testCase {
	return []testCase{
		{"EverythingOutlivesARestart_G7", func(e *env) {
			e.populate()
			before := e.snapshot()
			e.reopen()
			after := e.snapshot()
			forgetLeases(before.Tenants)
			forgetLeases(after.Tenants)
			before.Resumable, after.Resumable = nil, nil // a closed store has no owners
			e.equal(before, after, "the store after a restart")
		}},
		{"ClosedItIsUnavailable", func(e *env) {
			e.populate()
			s := e.s
			e.close()
			for range 2 {
				if err := s.Close(); err != nil {
					e.t.Errorf("Close again: %v", err)
				}
			}
			for name, method := range changes(s) {
				e.wantCode(method(e.ctx()), store.Unavailable, name+" of a closed store")
			}
			for name, method := range reads(s) {
				e.wantCode(method(e.ctx()), store.Unavailable, name+" of a closed store")
			}
		}},
		{"ABackupOpensAsTheSameStore_G7", func(e *env) {
			e.populate()
			before := e.snapshot()
			var buf bytes.Buffer
			n, err := e.s.Backup(e.ctx(), &buf)
			if err != nil || n != int64(buf.Len()) || n == 0 {
				e.t.Fatalf("Backup: %d, %v; wrote %d bytes", n, err, buf.Len())
			}
			e.equal(before, e.snapshot(), "the store after a backup")
			e.create("later", "")

			copied := e.restored(buf.Bytes())
			after := copied.snapshot()
			forgetLeases(before.Tenants)
			forgetLeases(after.Tenants)
			before.Resumable, after.Resumable = nil, nil
			e.equal(before, after, "the restored store")
			// It is a store of its own from here on.
			copied.create("other", "")
			e.wantUnknown("other")
			copied.wantUnknown("later")
			_, err = copied.s.Create(e.ctx(), store.Tenant{ID: "purged"}, by(due10))
			e.wantCode(err, store.Gone, "Create of a purged id in the restored store")
		}},
		{"ABackupUnderLoadIsConsistent_G7", backupUnderLoad},
		{"ABackupThatCannotBeWrittenSaysSo", func(e *env) {
			e.populate()
			_, err := e.s.Backup(e.ctx(), brokenWriter{})
			if err == nil {
				e.t.Error("Backup to a writer that fails returned no error")
			}
			e.create("after", "")
		}},
		{"CompactionKeepsEverything", func(e *env) {
			c, ok := e.s.(store.Compacter)
			if !ok {
				e.t.Skip("the store needs no compaction")
			}
			e.populate()
			before := e.snapshot()
			got, err := c.Compact(e.ctx())
			if err != nil || got.Before <= 0 || got.After <= 0 {
				e.t.Fatalf("Compact: %+v, %v", got, err)
			}
			e.equal(before, e.snapshot(), "the store after a compaction")
			e.create("after", "")
			e.reopen()
			e.tenant("after")
		}},
		{"AfterACompactionNothingOfThePurgedIsLeft_G13", compactForgets},
	}
}

// populate makes a store with something of everything.
func (e *env) populate() {
	e.t.Helper()
	e.createAll("active", "top", "child<top", "purged", "purged.child<purged")
	e.fillIfHeld("active", 2)
	e.fillIfHeld("child", 1)
	e.fillIfHeld("purged", 3)
	for _, id := range []string{"top", "purged"} {
		e.deactivate(id, t0, 10)
	}
	e.disabled("waiting", "")
	e.deactivate("waiting", t0, 40)
	e.blockedByHold("held")
	e.disabled("failed", "")
	e.disabled("claimed", "")
	e.purge("purged", due10, inline)
	e.postpone(e.claim("failed", due10).Token, due10, time.Time{})
	e.postpone(e.claim("top", due10).Token, due10, due10.Add(time.Hour))
	tok := e.claim("claimed", due10).Token
	e.record(tok, store.Advance{At: due10, Lease: lease, Target: "ldap", Planned: store.Counts{Users: 2}, Deleted: store.Counts{Users: 1}})
	e.changeGates(due10, store.ResumePurging("checked", 7))
	e.changeGates(due10, store.PausePurging("maintenance", due10.Add(day)))
	e.recordRun(run(1))
	if a, ok := e.s.(store.Approver); ok {
		if _, err := a.RequestApproval(e.ctx(), deletion("waiting"), by(due10)); err != nil {
			e.t.Fatalf("RequestApproval: %v", err)
		}
	}
}

// forgetLeases drops from the records who works on them: closing a store ends
// every lease.
func forgetLeases(tenants []store.Tenant) {
	for i := range tenants {
		if p := tenants[i].Purge; p != nil {
			c := *p
			c.Owner, c.LeaseEnd = "", store.Timestamp{}
			tenants[i].Purge = &c
		}
	}
}

// restored opens a store from a backup.
func (e *env) restored(backup []byte) *env {
	e.t.Helper()
	c := &env{t: e.t, h: e.h, dir: e.t.TempDir()}
	e.h.Restore(e.t, c.dir, backup)
	c.s = open(e.t, e.h, c.dir)
	e.t.Cleanup(c.end)
	return c
}

// wantUnknown fails the case unless the id was never used.
func (e *env) wantUnknown(id string) {
	e.t.Helper()
	_, err := e.s.Tenant(e.ctx(), id)
	e.wantCode(err, store.NotFound, fmt.Sprintf("Tenant(%q)", id))
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// backupUnderLoad takes a backup while tenants are created and purged. What it
// holds must be some instant of the history: the check at the end of the
// restored store finds anything else.
func backupUnderLoad(e *env) {
	e.trees(20, 2)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 20 {
			if _, err := e.tryClaim(fmt.Sprintf("t%d", i), due10, inline); err != nil {
				e.t.Errorf("Claim: %v", err)
			}
		}
	})
	wg.Go(func() {
		for i := range 20 {
			if _, err := e.s.Create(e.ctx(), store.Tenant{ID: fmt.Sprintf("new-%d", i)}, by(t0)); err != nil {
				e.t.Errorf("Create: %v", err)
			}
		}
	})
	var backups [3]bytes.Buffer
	for i := range backups {
		if _, err := e.s.Backup(e.ctx(), &backups[i]); err != nil {
			e.t.Errorf("Backup: %v", err)
		}
	}
	wg.Wait()
	all := e.entries(0)
	for i := range backups {
		c := e.restored(backups[i].Bytes())
		got := c.entries(0)
		if len(got) > len(all) {
			e.t.Fatalf("the backup has %d entries, the store %d", len(got), len(all))
		}
		e.equal(all[:len(got)], got, "the audit trail of the backup, a beginning of the store's")
	}
}

// compactForgets looks into the bytes of a backup for what was purged.
func compactForgets(e *env) {
	c, ok := e.s.(store.Compacter)
	if !ok {
		e.t.Skip("the store's file keeps nothing")
	}
	e.createAll("kept", "top", "child<top")
	e.put(resource("kept", store.KindUser, "keptresource"))
	for i := range 50 {
		e.put(resource("child", store.KindUser, fmt.Sprintf("purgedresource-%d", i)))
	}
	name, host := "purgedname", "purgedhost.example"
	e.update("top", t0, store.Edit(&name, &host, nil))
	e.deactivate("top", t0, 10)
	e.purge("top", due10)
	if _, err := c.Compact(e.ctx()); err != nil {
		e.t.Fatalf("Compact: %v", err)
	}
	var buf bytes.Buffer
	if _, err := e.s.Backup(e.ctx(), &buf); err != nil {
		e.t.Fatalf("Backup: %v", err)
	}
	if !bytes.Contains(buf.Bytes(), []byte("keptresource")) {
		e.t.Skip("the backup holds no plain bytes to look at")
	}
	for _, trace := range []string{"purgedresource", "purgedname", "purgedhost"} {
		if bytes.Contains(buf.Bytes(), []byte(trace)) {
			e.t.Errorf("%q is still in the file", trace)
		}
	}
}
