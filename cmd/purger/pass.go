package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// passTable renders a pass, or a plan of one.
func passTable(t *table, r purge.Report) {
	if len(r.Tenants) > 0 {
		t.row(append(append([]string{"TENANT", "OUTCOME", "DATE"}, countHeads()...), "WHY")...)
		for _, row := range r.Tenants {
			t.row(append(append([]string{row.ID, outcomeText(r, row), timeText(row.EstimatedPurgeDate.Time)}, countCells(row.ResourcesDeleted)...), rowText(row))...)
			for _, name := range slices.Sorted(maps.Keys(row.Targets)) {
				t.row(append(append([]string{"  in " + name, "", ""}, countCells(row.Targets[name])...), "")...)
			}
		}
		t.text("")
	}
	if r.Omitted > 0 {
		t.text("%s blocked are not shown.", plural(r.Omitted, "more tenant"))
	}
	if r.Trigger == purge.TriggerPlan {
		planText(t, r)
		return
	}
	if r.Gate != nil {
		t.text("Purging is stopped: %s.", gateText(*r.Gate))
	}
	t.text("Pass %s: purged %s, in %s.", r.Result, purgedText(r.Totals), tookText(r.StartedAt.Time, r.FinishedAt.Time))
	if tenants, gone := begun(r); tenants > 0 {
		t.text("%s begun and not finished: %s removed so far.", plural(tenants, "tenant"), countsText(gone))
	}
	if r.Error != "" {
		t.text("Error: %s", r.Error)
	}
}

// outcomeText says what became of a tenant, or in a plan what would.
func outcomeText(r purge.Report, row purge.Row) string {
	if r.Trigger == purge.TriggerPlan && row.Outcome == purge.OutcomeDeleted {
		return "purge"
	}
	return string(row.Outcome)
}

// planText renders what a plan comes to. Under a closed gate that is what
// follows once it is open.
func planText(t *table, r purge.Report) {
	defer beyondText(t, r)
	then := func(g *store.Gate) string {
		if g == nil {
			return ""
		}
		return ", and then stop: " + gateText(*g)
	}
	if r.Result == purge.ResultPlanned {
		t.text("A pass would purge %s%s.", purgedText(r.Totals), then(r.Gate))
		if tenants, going := begun(r); tenants > 0 {
			t.text("It would begin %s and not finish, with %s removed.", plural(tenants, "more tenant"), countsText(going))
		}
		return
	}
	t.text("Purging is stopped: %s.", gateText(*r.Gate))
	now := "purge nothing"
	if r.Gate.Reason == store.GateImport {
		now = "only go on with what was begun"
	}
	t.text("A pass now would %s. Once purging goes on, it would purge %s%s.", now, purgedText(r.Totals), then(r.Halt))
}

// beyondText says how a person learns of what a limit keeps out of a plan.
func beyondText(t *table, r purge.Report) {
	for _, g := range []*store.Gate{r.Gate, r.Halt} {
		if g != nil && g.Reason == store.GateHalted {
			t.text("What is due beyond that: 'purger tenant list --due'; 'purger resume --allow N' lets N tenants through, sub-tenants counted.")
			return
		}
	}
}

// begun returns how many of the rows are of tenants that are begun and not
// finished, and what is removed of them.
func begun(r purge.Report) (tenants int64, gone store.Counts) {
	for _, row := range r.Tenants {
		if (row.Outcome == purge.OutcomeRetrying || row.Outcome == purge.OutcomeFailed) && row.ResourcesDeleted != (store.Counts{}) {
			tenants++
			gone = gone.Plus(row.ResourcesDeleted)
		}
	}
	return tenants, gone
}

// purgedText says how much a pass has purged.
func purgedText(n purge.Totals) string {
	if n.Tenants == 0 {
		return "nothing"
	}
	return plural(n.Tenants, "tenant") + " with " + countsText(n.Counts)
}

// rowText says why a tenant was not purged, "" if it was.
func rowText(row purge.Row) string {
	switch {
	case row.Block != nil:
		return blockText(row.ID, *row.Block)
	case row.Error != "":
		return row.Error
	}
	return ""
}

// tookText renders how long something took.
func tookText(from, to time.Time) string {
	d := to.Sub(from)
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return d.Round(100 * time.Millisecond).String()
}

// passError returns the error with which a command ends that made the pass:
// everything is in the report, so it holds only the exit code. A tenant that
// failed outweighs a gate that closed, since trying again does not cure it.
func passError(r purge.Report) error {
	for _, row := range r.Tenants {
		if row.Outcome == purge.OutcomeFailed || row.Outcome == purge.OutcomeRetrying {
			return &exitError{code: exitSomeFailed}
		}
	}
	switch r.Result {
	case purge.ResultOK:
		return nil
	case purge.ResultPartial:
		return &exitError{code: exitSomeFailed}
	case purge.ResultPaused, purge.ResultHalted, purge.ResultImport, purge.ResultSpace, purge.ResultInterrupted:
		return &exitError{code: exitTryAgain}
	}
	return &exitError{code: exitFailure, err: fmt.Errorf("the pass ended with %q: %s", r.Result, r.Error)}
}
