package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/store"
)

// newReceipt returns the command "receipt".
func newReceipt(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "receipt ID", Short: "Show the proof of a purge", GroupID: groupEvidence,
		Long: `receipt shows what was removed with a tenant, when, and on whose behalf. For a
sub-tenant that went with its parent it is the receipt of the parent.`,
		Args: arguments("ID"),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := store.CheckID("ID", args[0]); err != nil {
			return usageErrorf("%w", err)
		}
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			r, err := c.Receipt(ctx, args[0])
			if err != nil {
				return err
			}
			return output.write(a.stdout, r, func(t *table) { receiptTable(t, r) })
		})
	}
	return cmd
}

// exactText says whether the counts of a receipt are exact, and if not, which: a
// receipt of an earlier version does not tell.
func exactText(r store.Receipt) string {
	switch {
	case r.CountsExact:
		return "yes"
	case len(r.LowerBounds) == 0 && len(r.Unaccounted) > 0:
		return "no: something that was counted is unaccounted for"
	}
	text := "no: a lost answer or a crash made them a lower bound"
	last := ""
	for _, b := range r.LowerBounds {
		switch {
		case b.Target == last:
			text += ", " + string(b.Kind)
		case last == "":
			text += ", in " + printable(b.Target)
		default:
			text += "; in " + printable(b.Target)
		}
		if b.Target != last && b.Kind != "" {
			text += " of " + string(b.Kind)
		}
		last = b.Target
	}
	return text
}

// receiptTable renders a receipt. A long subtree is cut: the whole of it is in
// the JSON.
func receiptTable(t *table, r store.Receipt) {
	t.field("receipt", r.ID)
	t.field("tenant", r.TenantID)
	t.field("parent", r.ParentID)
	t.field("deactivated", timeText(r.DisabledAt.Time))
	t.field("deactivated by", r.DisabledBy)
	if r.PurgeAfterDays > 0 {
		t.field("grace period", plural(int64(r.PurgeAfterDays), "day"))
	}
	t.field("purge date", timeText(r.EstimatedPurgeDate.Time))
	if r.Immediate {
		t.field("immediate", "yes")
	}
	t.field("claimed", timeText(r.ClaimedAt.Time))
	t.field("claimed by", r.ClaimedBy)
	t.field("trigger", r.Trigger)
	t.field("deleted", timeText(r.DeletedAt.Time))
	t.field("counts exact", exactText(r))
	t.field("audit entry", fmt.Sprintf("%d %s", r.Audit.Seq, r.Audit.Hash))
	t.text("")
	t.row(append([]string{"COUNTED"}, countHeads()...)...)
	t.row(append([]string{"at the claim"}, countCells(r.Planned)...)...)
	t.row(append([]string{"deleted"}, countCells(r.Deleted)...)...)
	for _, name := range slices.Sorted(maps.Keys(r.Targets)) {
		t.row(append([]string{"  in " + name}, countCells(r.Targets[name])...)...)
	}
	t.row(append([]string{"left"}, countCells(r.Remaining)...)...)
	for _, name := range slices.Sorted(maps.Keys(r.Unaccounted)) {
		t.row(append([]string{"unaccounted for in " + name}, countCells(r.Unaccounted[name])...)...)
	}
	t.text("")
	const most = 20
	t.text("Tenants, deepest first:")
	for i, id := range r.Tenants {
		if i == most {
			t.text("  and %s", plural(int64(len(r.Tenants)-most), "more tenant"))
			break
		}
		t.text("  %s", id)
	}
}
