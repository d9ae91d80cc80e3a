package boltstore

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// attempt is a call with a key.
func attempt(key string, when time.Time) store.Attempt {
	a := store.Attempt{At: when}
	copy(a.Key[:], key)
	return a
}

// answered makes a call and keeps its answer.
func (f *fixture) answered(key string, when time.Time) {
	f.t.Helper()
	a := attempt(key, when)
	_, err := f.BeginReplay(f.t.Context(), a)
	f.must(err)
	f.must(f.KeepReplay(f.t.Context(), a, store.Answer{Status: 200, Body: []byte("{}")}, when))
}

// asked asks for a second person.
func (f *fixture) asked(tenant string, when time.Time) store.Approval {
	f.t.Helper()
	a, err := f.RequestApproval(f.t.Context(), store.ApprovalRequest{
		Action: store.ApproveDelete, TenantID: tenant, Call: []byte(`{}`), Life: time.Hour}, at(when))
	f.must(err)
	return a
}

// keys counts the entries of a bucket.
func (f *fixture) keys(bucket []byte) int {
	f.t.Helper()
	n := 0
	f.must(f.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(_, _ []byte) error { n++; return nil })
	}))
	return n
}

func TestForget_AnyChangeForgetsSomeOfWhatHasExpired(t *testing.T) {
	f := newFixture(t)
	f.create("a", "")
	f.asked("a", epoch)
	for i := range forgetEach + 10 {
		f.answered(fmt.Sprint(i), epoch)
	}
	later := epoch.Add(30 * time.Hour)
	_, err := f.Update(t.Context(), "a", store.Update{Origin: at(epoch.Add(time.Hour)), Change: store.SetHold("r", time.Time{})})
	f.must(err)
	if n := f.keys(bucketReplays); n != forgetEach+10 || f.keys(bucketApprovals) != 1 {
		t.Errorf("%d answers are kept an hour later, %d approvals", n, f.keys(bucketApprovals))
	}
	_, err = f.Update(t.Context(), "a", store.Update{Origin: at(later), Change: store.SetHold("r", time.Time{})})
	f.must(err)
	if n := f.keys(bucketReplays); n != 10 || f.keys(bucketApprovals) != 0 {
		t.Errorf("after a change %d answers are kept, %d approvals", n, f.keys(bucketApprovals))
	}
	f.check()
	f.must(f.Forget(t.Context(), later))
	if f.keys(bucketReplays) != 0 || f.keys(bucketReplayEnds) != 0 {
		t.Error("Forget has left some")
	}
}

func TestForget_WhatWasForgottenIsCompactedInTime_G13(t *testing.T) {
	later := epoch.Add(30 * time.Hour)
	for name, do := range map[string]func(f *fixture) time.Time{
		"an answer":   func(f *fixture) time.Time { f.answered("k", epoch); f.must(f.Forget(t.Context(), later)); return later },
		"an approval": func(f *fixture) time.Time { f.asked("a", epoch); f.must(f.Forget(t.Context(), later)); return later },
		"a call that was decided on": func(f *fixture) time.Time {
			_, err := f.DecideApproval(t.Context(), f.asked("a", epoch).ID, store.ApprovalDecision{}, at(epoch))
			f.must(err)
			return epoch
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.create("a", "")
			if got := f.ErasedSince(); !got.IsZero() {
				t.Fatalf("erased since %v at first", got)
			}
			want := do(f)
			if got := f.ErasedSince(); !got.Equal(want) {
				t.Errorf("erased since %v; want %v", got, want)
			}
			_, err := f.Compact(t.Context())
			f.must(err)
		})
	}
}

func TestReplay_NoMoreThanTheLargestNumber(t *testing.T) {
	f := newFixture(t)
	f.answered("kept", epoch)
	set := func(n uint64) {
		f.must(f.db.Update(func(tx *bolt.Tx) error {
			return tx.Bucket(bucketMeta).Put(keyReplays, replayTotals{n: n, bytes: replaysOf(tx).bytes}.encode())
		}))
	}
	set(store.MaxReplays)
	_, err := f.BeginReplay(t.Context(), attempt("more", epoch))
	if store.CodeOf(err) != store.Exhausted {
		t.Errorf("one more: %v", err)
	}
	if got, err := f.BeginReplay(t.Context(), attempt("kept", epoch)); err != nil || got == nil {
		t.Errorf("one that is kept: %v, %v", got, err)
	}
	set(store.MaxReplays - 1)
	f.answered("more", epoch)
	set(2) // as it is
}

func TestOpen_TakesAFileOfAnEarlierVersion(t *testing.T) {
	f := newFixture(t)
	f.create("a", "")
	f.must(f.Close())
	db, err := bolt.Open(filepath.Join(f.dir, FileName), 0o600, nil)
	f.must(err)
	f.must(db.Update(func(tx *bolt.Tx) error {
		for _, name := range laterBuckets() {
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
		}
		return nil
	}))
	f.must(db.Close())
	f.open()
	f.check()
	f.answered("k", epoch)
	f.asked("a", epoch)
	f.must(f.Close())
	f.open()
	if f.keys(bucketReplays) != 1 || f.keys(bucketApprovals) != 1 {
		t.Error("what was kept is lost")
	}
}

func TestCheck_FindsDefectsOfWhatExpires(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(tx *bolt.Tx) error
		want   string
	}{
		"an end lost": {func(tx *bolt.Tx) error {
			k, _ := tx.Bucket(bucketReplayEnds).Cursor().First()
			return tx.Bucket(bucketReplayEnds).Delete(k)
		}, "is not in the index of ends"},
		"an end of nothing": {func(tx *bolt.Tx) error {
			return tx.Bucket(bucketReplayEnds).Put(indexKey(epoch, strings.Repeat("x", 32)), nil)
		}, "1 are kept and 2 will be forgotten"},
		"totals wrong": {func(tx *bolt.Tx) error {
			return tx.Bucket(bucketMeta).Put(keyReplays, replayTotals{n: 1, bytes: 7}.encode())
		}, "on record"},
		"an answer damaged": {func(tx *bolt.Tx) error {
			k, _ := tx.Bucket(bucketReplays).Cursor().First()
			return tx.Bucket(bucketReplays).Put(k, []byte{recordVersion})
		}, "damaged"},
		"an approval damaged": {func(tx *bolt.Tx) error {
			k, _ := tx.Bucket(bucketApprovals).Cursor().First()
			return tx.Bucket(bucketApprovals).Put(k, []byte("{"))
		}, "damaged"},
		"what is asked for damaged": {func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketApprovals)
			k, v := b.Cursor().First()
			return b.Put(k, append(make([]byte, 32), v[32:]...))
		}, "is kept as"},
		"an approval that ends later": {func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketApprovals)
			k, v := b.Cursor().First()
			return b.Put(k, []byte(strings.Replace(string(v), `"expiresAt":"2026-01-01T01`, `"expiresAt":"2026-01-02T01`, 1)))
		}, "is kept as"},
		"decided by nobody": {func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketApprovals)
			k, v := b.Cursor().First()
			return b.Put(k, []byte(strings.Replace(string(v), `"pending"`, `"approved"`, 1)))
		}, "not who decided"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.create("a", "")
			f.asked("a", epoch)
			f.answered("k", epoch)
			f.check()
			f.must(f.db.Update(c.damage))
			err := f.Check(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("check says %v; want it to say %q", err, c.want)
			}
			f.fail(err) // so that the fixture does not check it again
		})
	}
}

func TestDecodeReplay_NeverPanics(t *testing.T) {
	r := &replay{at: epoch, answer: &store.Answer{Status: 200, Header: map[string]string{"A": "b", "C": "d"}, Body: []byte("x")}}
	b := r.encode()
	for n := range b {
		_, _ = decodeReplay(b[:n]) // a body may be cut; what comes before it may not
		if n < len(b)-1 && n > 1+8+32+16+7 {
			if got, err := decodeReplay(b[:n]); err == nil {
				t.Fatalf("the first %d of %d bytes decode to %+v", n, len(b), got.answer)
			}
		}
	}
	if got, err := decodeReplay(b); err != nil || got.answer.Header["C"] != "d" || string(got.answer.Body) != "x" {
		t.Errorf("%+v, %v", got, err)
	}
}
