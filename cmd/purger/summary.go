package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// summaryRows is how many tenants of one kind a summary lists.
const summaryRows = 20

// summarizer shows a person at a terminal how each pass ended: what was purged,
// what waits, for whom and until when. It is not safe for concurrent use; passes
// never overlap.
type summarizer struct {
	w io.Writer
	// last is what was shown last without its head: a pass every few minutes
	// that finds nothing new shows nothing.
	last string
}

// show writes the summary of a pass. waiting are tenants whose date has not
// come, the first few of them; stats may be nil.
func (s *summarizer) show(r purge.Report, waiting []store.Tenant, stats *store.Stats) error {
	retry := r.Trigger == purge.TriggerRetry
	if retry { // it looks only at what was claimed before
		waiting = nil
	}
	body := summaryBody(r, waiting, stats)
	if body == "" || body == s.last && r.Totals.Tenants == 0 {
		return nil
	}
	if !retry {
		s.last = body
	}
	_, err := fmt.Fprintf(s.w, "\nPass %s (%s, %s): purged %s.\n%s\n", r.Result, r.Trigger,
		tookText(r.StartedAt.Time, r.FinishedAt.Time), purgedText(r.Totals), body)
	return err
}

// summaryBody renders the rows of a summary, "" when there is nothing to say.
func summaryBody(r purge.Report, waiting []store.Tenant, stats *store.Stats) string {
	var b bytes.Buffer
	t := &table{w: tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)}
	shown := map[purge.Outcome]int{}
	for _, row := range r.Tenants {
		if shown[row.Outcome]++; shown[row.Outcome] > summaryRows {
			continue
		}
		switch row.Outcome {
		case purge.OutcomeDeleted:
			t.row("  purged", row.ID, "with "+countsText(row.ResourcesDeleted))
		case purge.OutcomeBlocked:
			t.row("  waits", row.ID, rowText(row))
		default:
			t.row("  "+string(row.Outcome), row.ID, rowText(row))
		}
	}
	for i, w := range waiting {
		if i == summaryRows {
			break
		}
		t.row("  not due", w.ID, "until "+timeText(w.EstimatedPurgeDate))
	}
	// A buffer takes everything.
	_ = t.w.Flush()
	for _, o := range []purge.Outcome{purge.OutcomeDeleted, purge.OutcomeBlocked, purge.OutcomeFailed, purge.OutcomeRetrying} {
		if more := shown[o] - summaryRows; more > 0 {
			fmt.Fprintf(&b, "  and %s %s\n", plural(int64(more), "more tenant"), o)
		}
	}
	if r.Gate != nil {
		fmt.Fprintf(&b, "  purging is stopped: %s\n", printable(gateText(*r.Gate)))
	}
	if stats != nil && len(waiting) > summaryRows {
		fmt.Fprintf(&b, "  the next date is %s\n", timeText(stats.NextPurge))
	}
	return strings.TrimRight(b.String(), "\n")
}
