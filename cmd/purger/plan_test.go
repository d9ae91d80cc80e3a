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
	const beyond = "What is due beyond that: 'purger tenant list --due'; 'purger resume --allow N' lets N tenants through, sub-tenants counted.\n"
	for want, r := range map[string]purge.Report{
		"A pass would purge 2 tenants with 1 user.\n":                                                                                                                                          {Result: purge.ResultPlanned},
		"A pass would purge 2 tenants with 1 user, and then stop: halted (limits.perPass).\n" + beyond:                                                                                         {Result: purge.ResultPlanned, Gate: limit},
		"Purging is stopped: paused (freeze).\nA pass now would purge nothing. Once purging goes on, it would purge 2 tenants with 1 user.\n":                                                  {Result: purge.ResultPaused, Gate: paused},
		"Purging is stopped: paused (freeze).\nA pass now would purge nothing. Once purging goes on, it would purge 2 tenants with 1 user, and then stop: halted (limits.perPass).\n" + beyond: {Result: purge.ResultPaused, Gate: paused, Halt: limit},
		"Purging is stopped: import (not complete).\nA pass now would only go on with what was begun. Once purging goes on, it would purge 2 tenants with 1 user.\n":                           {Result: purge.ResultImport, Gate: importing},
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

// What is begun and not finished is told, too: "nothing" would be a lie.
func TestPass_SaysWhatIsBegunAndNotFinished(t *testing.T) {
	rows := []purge.Row{
		{ID: "a", Outcome: purge.OutcomeRetrying, Error: "away", ResourcesDeleted: store.Counts{Users: 3}},
		{ID: "b", Outcome: purge.OutcomeFailed, Error: "never", ResourcesDeleted: store.Counts{APIKeys: 1}},
		{ID: "c", Outcome: purge.OutcomeRetrying, Error: "away"},
	}
	for trigger, want := range map[purge.Trigger]string{
		purge.TriggerPlan: "A pass would purge nothing.\nIt would begin 2 more tenants and not finish, with 1 API key, 3 users removed.\n",
		purge.TriggerRun:  "Pass partial: purged nothing, in 0 ms.\n2 tenants begun and not finished: 1 API key, 3 users removed so far.\n",
	} {
		r := purge.Report{Trigger: trigger, Result: purge.ResultPartial, Tenants: rows}
		if trigger == purge.TriggerPlan {
			r.Result = purge.ResultPlanned
		}
		var b bytes.Buffer
		tab := &table{w: tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)}
		passTable(tab, r)
		if err := tab.w.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); !strings.HasSuffix(got, want) {
			t.Errorf("%q; want it to end with %q", got, want)
		}
	}
}
