package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

func TestProgressText_TellsSlowFromStuckAndWhatItWaitsFor(t *testing.T) {
	now := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) store.Timestamp { return store.Timestamp{Time: now.Add(d)} }
	left := int64(1500)
	failed := &store.Progress{NextAttempt: at(time.Hour), LastError: "crm: user: the bucket is locked"}
	for _, c := range []struct {
		p      client.TargetProgress
		failed *store.Progress
		want   string
	}{
		{client.TargetProgress{Done: 1000, Remaining: &left, Rate: 50, ETA: at(time.Minute)}, nil, "1,000 removed, 1,500 left, 50/s, ends about 2026-01-05T12:01:00.000Z"},
		{client.TargetProgress{BeganAt: at(-time.Minute)}, nil, "0 removed, 0.0/s, nothing yet in 1m0s"},
		{client.TargetProgress{Done: 1, BeganAt: at(-time.Hour), ProgressedAt: at(-10 * time.Minute)}, nil, "1 removed, 0.0/s, nothing for 10m0s"},
		{client.TargetProgress{Remaining: &left, Reason: "window", Until: at(time.Hour)}, failed, "0 removed, 1,500 left, 0.0/s, waits until 2026-01-05T13:00:00.000Z (window)"},
		{client.TargetProgress{Done: 6, Remaining: &left, Rate: 7, ETA: at(time.Minute)}, failed, "6 removed, 1,500 left, tried again at 2026-01-05T13:00:00.000Z: crm: user: the bucket is locked"},
	} {
		if got := progressText(c.p, c.failed, now); got != c.want {
			t.Errorf("%q; want %q", got, c.want)
		}
	}
}

// fields renders what the status says of purges, a line each without its padding.
func fields(rows []client.TargetProgress, b begunPurges, now time.Time) []string {
	var out bytes.Buffer
	t := &table{w: tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)}
	progressFields(t, rows, b, now)
	_ = t.w.Flush() // a buffer takes everything
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

func TestProgressFields_SumUpEachTargetAndShowFirstWhatDoesNotGetOn(t *testing.T) {
	now := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) store.Timestamp { return store.Timestamp{Time: now.Add(d)} }
	n := func(v int64) *int64 { return &v }
	rows := []client.TargetProgress{
		{TenantID: "a", Target: "crm", Done: 10, Remaining: n(0), Rate: 1},
		{TenantID: "b", Target: "crm", Done: 20, Remaining: n(300), Rate: 30},
		{TenantID: "a", Target: "idp", Done: 1, Remaining: n(4), Reason: "window", Until: at(time.Hour)},
		{TenantID: "c", Target: "crm", Done: 2, Remaining: n(2)},
		{TenantID: "d", Target: "mail", Done: 2, BeganAt: at(-time.Minute)},
		{TenantID: "e", Target: "files", Done: 5, Remaining: n(0)},
	}
	b := begunPurges{
		purging: map[string]*store.Progress{
			"b": {LeaseEnd: at(time.Minute), Targets: map[string]store.Counts{"crm": {Users: 900}}},
			"c": {NextAttempt: at(time.Minute), LastError: "crm: locked"},
			"z": {NextAttempt: at(time.Minute), LastError: "crm: gone", Deleted: store.Counts{Users: 7}},
			"k": {LeaseEnd: at(time.Minute), Deleted: store.Counts{Users: 20_000}, Holds: map[string][]store.Kind{"crm": {store.KindUser}}},
			"s": {LeaseEnd: at(time.Minute)},
		},
		failed: []client.Tenant{{ID: "f", Purge: &store.Progress{LastError: "crm: 400 are left"}}},
	}
	want := []string{
		"target crm: 3 tenants, 912 removed, 302 left, 31/s, 10s to go; 1 to be tried again",
		"target files: 1 tenant, 5 removed, nothing left",
		"target idp: 1 tenant, 1 removed, 4 left; 1 put off: window until 2026-01-05T13:00:00.000Z",
		"target mail: 1 tenant, 2 removed",
		"purging a in idp: 1 removed, 4 left, 0.0/s, waits until 2026-01-05T13:00:00.000Z (window)",
		"purging c in crm: 2 removed, 2 left, tried again at 2026-01-05T12:01:00.000Z: crm: locked",
		"purging d in mail: 2 removed, 0.0/s, nothing yet in 1m0s",
		"purging b in crm: 900 removed, 300 left, 30/s, nothing yet in 0s",
		"purging z: 7 removed, tried again at 2026-01-05T12:01:00.000Z: crm: gone",
		"purging k: 20,000 removed, goes on with the next pass",
		"failed f: crm: 400 are left; once that is mended: purger tenant retry f",
	}
	rows[1].BeganAt = at(0)
	if diff := cmp.Diff(want, fields(rows, b, now)); diff != "" {
		t.Error(diff)
	}
}

func TestProgressFields_AreFewHoweverManyPurgesThereAre(t *testing.T) {
	now := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	left := int64(1)
	var rows []client.TargetProgress
	b := begunPurges{purging: map[string]*store.Progress{}}
	for i := range 500 {
		rows = append(rows, client.TargetProgress{TenantID: fmt.Sprint("t", i), Target: "crm", Remaining: &left})
		b.purging[fmt.Sprint("u", i)] = &store.Progress{LastError: "no"}
	}
	lines := fields(rows, b, now)
	if len(lines) != 1+2*(maxProgress+1) || lines[1+maxProgress] != "purging: 480 more in their targets" || lines[len(lines)-1] != "purging: 480 more that go on later" {
		t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}
