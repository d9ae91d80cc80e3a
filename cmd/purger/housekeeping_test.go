package main

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

func TestCompaction_G13_ComesInTimeAndNotBefore(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, c := range []struct {
		name   string
		failed time.Time
		since  time.Time
		after  time.Duration
		want   bool
	}{
		{"nothing was deleted", time.Time{}, time.Time{}, day, false},
		{"just before", time.Time{}, now.Add(-day + time.Millisecond), day, false},
		{"exactly", time.Time{}, now.Add(-day), day, true},
		{"only by hand", time.Time{}, now.Add(-10 * day), 0, false},
		{"failed lately", now.Add(-compactRetry + time.Millisecond), now.Add(-2 * day), day, false},
		{"failed some time ago", now.Add(-compactRetry), now.Add(-2 * day), day, true},
	} {
		if got := (&compaction{failedAt: c.failed}).due(now, c.since, c.after); got != c.want {
			t.Errorf("%s: due is %v", c.name, got)
		}
	}
}

func TestStatusLine_SumsUpTheStore(t *testing.T) {
	s := store.Stats{
		Tenants: map[store.Status]int64{store.StatusActive: 1200, store.StatusFailed: 1, store.StatusDeleted: 7},
		Blocked: map[store.BlockReason]int64{store.BlockHold: 2, store.BlockProtected: 1}, Due: 4,
	}
	next := time.Date(2026, 11, 22, 12, 5, 0, 0, time.UTC)
	if got, want := statusLine(s, next, next.Add(-time.Minute)), "1,201 tenants, 4 due, 3 blocked, 1 failed, 7 purged; next pass 2026-11-22T12:05:00.000Z; next retry 2026-11-22T12:04:00.000Z"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
	if got := statusLine(store.Stats{}, time.Time{}, time.Time{}); got != "0 tenants, 0 due, 0 blocked, 0 failed, 0 purged" {
		t.Errorf("%q", got)
	}
}

// What is told of the end of a pass must not hide the next one, which may have
// begun meanwhile and take hours.
func TestPassWatcher_APassThatBeginsAfterAnotherIsToldAsRunning(t *testing.T) {
	told := listenNotify(t)
	w := &passWatcher{notify: notifier{zap.NewNop()}, ended: make(chan struct{}, 1)}
	w.begin("first")
	w.end()
	w.begin("second")
	<-w.ended
	w.tellStatus("3 tenants")
	w.end()
	<-w.ended
	w.tellStatus("2 tenants")
	want := []string{"STATUS=first", "STATUS=second", "STATUS=second: 3 tenants", "STATUS=2 tenants"}
	if got := told(); !slices.Equal(got, want) {
		t.Errorf("told %q; want %q", got, want)
	}
}
