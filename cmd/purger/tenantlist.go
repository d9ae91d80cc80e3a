package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// newTenantList returns the command "tenant list".
func newTenantList(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List tenants in the order of their ids or dates",
		Example: "  purger tenant list --status disabled\n  purger tenant list --due -o json\n" +
			"  purger tenant list --sort estimatedPurgeDate --limit 10",
		Args: arguments(),
	}
	output := outputFlag(cmd)
	status := cmd.Flags().String("status", "", "only those with this status: active, disabled, purging or failed")
	due := cmd.Flags().Bool("due", false, "only disabled ones whose own date has come")
	parent := cmd.Flags().String("parent", "", "only the sub-tenants of this one, one level deep")
	roots := cmd.Flags().Bool("roots", false, "only those without a parent")
	sort := cmd.Flags().String("sort", client.SortID, "the order: id, or estimatedPurgeDate, which only disabled ones have")
	limit := cmd.Flags().Int("limit", 0, "how many; 0 for all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q := client.TenantQuery{Due: *due, Sort: *sort}
		switch {
		case *limit < 0:
			return usageErrorf("--limit %d: want 0 or more", *limit)
		case *roots && *parent != "":
			return usageErrorf("--roots and --parent: want only one of them")
		case *roots || *parent != "":
			q.ParentID = parent
		}
		if *parent != "" {
			if err := store.CheckID("--parent", *parent); err != nil {
				return usageErrorf("%w", err)
			}
		}
		if *status != "" {
			s, err := store.ParseStatus(*status)
			if err != nil || s == store.StatusDeleted {
				return usageErrorf("--status %q: want active, disabled, purging or failed", *status)
			}
			q.Status = s
		}
		switch {
		case *sort != client.SortID && *sort != client.SortDate:
			return usageErrorf("--sort %q: want %s or %s", *sort, client.SortID, client.SortDate)
		case *sort == client.SortDate && q.Status != "" && q.Status != store.StatusDisabled:
			return usageErrorf("--sort %s and --status %s: only disabled tenants have a date", *sort, q.Status)
		}
		if *limit > 0 {
			q.Limit = min(*limit, store.MaxPage)
		}
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			heads := []string{"TENANT", "PARENT", "STATUS", "PURGE DATE", "NAME", "WAITS"}
			return writeEach(*output, a.stdout, heads, firstOf(c.AllTenants(ctx, q), *limit), tenantCells)
		})
	}
	return cmd
}

// tenantCells renders a tenant for the list.
func tenantCells(t client.Tenant) []string {
	waits := ""
	switch {
	case t.Block != nil:
		waits = blockText(t.ID, *t.Block)
	case t.Hold != nil && (t.Hold.Until.IsZero() || time.Now().Before(t.Hold.Until.Time)):
		b := store.Block{Reason: store.BlockHold, By: t.ID, Until: t.Hold.Until}
		waits = blockText(t.ID, b)
	case t.Purge != nil && t.Purge.LastError != "":
		waits = t.Purge.LastError
	}
	return []string{t.ID, t.ParentID, string(t.Status), timeText(t.EstimatedPurgeDate.Time), t.Name, waits}
}
