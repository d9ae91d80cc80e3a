package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// summaryReport is a pass with one tenant of every outcome.
func summaryReport() purge.Report {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	r := purge.Report{
		Trigger: purge.TriggerSchedule, Result: purge.ResultPartial,
		StartedAt: store.Timestamp{Time: at}, FinishedAt: store.Timestamp{Time: at.Add(15 * time.Millisecond)},
		Tenants: []purge.Row{
			{ID: "acme", Outcome: purge.OutcomeDeleted, ResourcesDeleted: store.Counts{Users: 2, SubTenants: 1}},
			{ID: "globex", Outcome: purge.OutcomeBlocked, Block: &store.Block{Reason: store.BlockHold, By: "globex-eu", Until: store.Timestamp{Time: at.AddDate(0, 1, 0)}}},
			{ID: "initech", Outcome: purge.OutcomeRetrying, Error: "the directory\nanswers 503"},
			{ID: "hooli", Outcome: purge.OutcomeFailed, Error: "attempts are spent"},
		},
		Totals: purge.Totals{Counts: store.Counts{Users: 2, SubTenants: 1}, Tenants: 2},
	}
	return r
}

func TestSummary_SaysWhatWasPurgedWhatWaitsForWhomAndUntilWhen(t *testing.T) {
	var b bytes.Buffer
	s := &summarizer{w: &b}
	waiting := []store.Tenant{{ID: "umbrella", EstimatedPurgeDate: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}}
	if err := s.show(summaryReport(), waiting, &store.Stats{}); err != nil {
		t.Fatal(err)
	}
	want := `
Pass partial (schedule, 15 ms): purged 2 tenants with 1 sub-tenant, 2 users.
  purged    acme      with 1 sub-tenant, 2 users
  waits     globex    globex-eu is on hold until 2026-12-22T12:00:00.000Z
  retrying  initech   "the directory\nanswers 503"
  failed    hooli     attempts are spent
  not due   umbrella  until 2026-12-01T00:00:00.000Z
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSummary_TellsOnlyNews(t *testing.T) {
	var b bytes.Buffer
	s := &summarizer{w: &b}
	shown := func(r purge.Report) bool {
		b.Reset()
		if err := s.show(r, nil, nil); err != nil {
			t.Fatal(err)
		}
		return b.Len() > 0
	}
	if shown(purge.Report{Result: purge.ResultOK}) {
		t.Error("a pass with nothing to say says something")
	}
	waits := summaryReport()
	waits.Tenants, waits.Totals = waits.Tenants[1:2], purge.Totals{}
	if !shown(waits) {
		t.Error("a tenant that waits is not told")
	}
	waits.FinishedAt = store.Timestamp{Time: waits.FinishedAt.Add(time.Second)}
	if shown(waits) {
		t.Error("the same again is told again")
	}
	paused := purge.Report{Result: purge.ResultPaused, Gate: &store.Gate{Reason: store.GatePaused, Detail: "freeze\x1b[2J"}}
	if !shown(paused) || !strings.Contains(b.String(), `purging is stopped: "paused (freeze\x1b[2J)"`) {
		t.Errorf("the gate is not told: %q", b.String())
	}
	if !shown(waits) {
		t.Error("after something else it is news again")
	}
}

func TestSummary_IsBounded(t *testing.T) {
	r := summaryReport()
	for i := range 1000 {
		r.Tenants = append(r.Tenants, purge.Row{ID: fmt.Sprint("t-", i), Outcome: purge.OutcomeDeleted})
	}
	var waiting []store.Tenant
	for i := range 50 {
		waiting = append(waiting, store.Tenant{ID: fmt.Sprint("w-", i), EstimatedPurgeDate: time.Unix(1e9, 0)})
	}
	var b bytes.Buffer
	if err := (&summarizer{w: &b}).show(r, waiting, &store.Stats{NextPurge: time.Unix(1e9, 0)}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\n  and 981 more tenants deleted\n", "\n  the next date is 2001-09-09T01:46:40.000Z\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q", want)
		}
	}
	if n := strings.Count(b.String(), "\n"); n > 3*summaryRows {
		t.Errorf("%d lines", n)
	}
}
