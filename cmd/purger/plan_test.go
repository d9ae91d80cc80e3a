package main

import (
	"bytes"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func TestPlan_SaysWhatStopsItNowAndWhatThen(t *testing.T) {
	paused := &store.Gate{Reason: store.GatePaused, Detail: "freeze"}
	importing := &store.Gate{Reason: store.GateImport, Detail: "not complete"}
	limit := &store.Gate{Reason: store.GateHalted, Detail: "limits.perPass"}
	for want, r := range map[string]purge.Report{
		"A pass would purge 2 tenants with 1 user.\n":                                                                                                                                 {Result: purge.ResultPlanned},
		"A pass would purge 2 tenants with 1 user, and then stop: halted (limits.perPass).\n":                                                                                         {Result: purge.ResultPlanned, Gate: limit},
		"Purging is stopped: paused (freeze).\nA pass now would purge nothing. Once purging goes on, it would purge 2 tenants with 1 user.\n":                                         {Result: purge.ResultPaused, Gate: paused},
		"Purging is stopped: paused (freeze).\nA pass now would purge nothing. Once purging goes on, it would purge 2 tenants with 1 user, and then stop: halted (limits.perPass).\n": {Result: purge.ResultPaused, Gate: paused, Halt: limit},
		"Purging is stopped: import (not complete).\nA pass now would only go on with what was begun. Once purging goes on, it would purge 2 tenants with 1 user.\n":                  {Result: purge.ResultImport, Gate: importing},
	} {
		r.Trigger, r.Totals.Tenants, r.Totals.Users = purge.TriggerPlan, 2, 1
		var b bytes.Buffer
		tab := &table{w: tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)}
		passTable(tab, r)
		if err := tab.w.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(b.String()) + "\n"; got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}
