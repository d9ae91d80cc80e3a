package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// newTenant returns the command "tenant".
func newTenant(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use: "tenant", Short: "List and change tenants", GroupID: groupTenants,
	})
	cmd.AddCommand(
		newTenantList(a), newTenantGet(a), newTenantCreate(a),
		newTenantDeactivate(a), newTenantReactivate(a),
		newTenantHold(a), newTenantRelease(a),
		newTenantRetry(a), newTenantDelete(a),
	)
	return cmd
}

// withTenant connects for a command on the one tenant that the first argument
// names.
func (a *app) withTenant(cmd *cobra.Command, args []string, f func(ctx context.Context, c *session, id string) error) error {
	if err := store.CheckID("ID", args[0]); err != nil {
		return usageErrorf("%w", err)
	}
	return a.do(cmd, refuse, func(ctx context.Context, c *session) error { return f(ctx, c, args[0]) })
}

// newTenantGet returns the command "tenant get".
func newTenantGet(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "get ID", Short: "Show one tenant",
		Args: arguments("ID"),
	}
	output := outputFlag(cmd)
	deleted := cmd.Flags().Bool("allow-deleted", false, "show what remains of a tenant that was purged")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withTenant(cmd, args, func(ctx context.Context, c *session, id string) error {
			t, err := c.Tenant(ctx, id, *deleted)
			if store.CodeOf(err) == store.Gone {
				return fmt.Errorf("%w; see 'purger receipt %s'", err, id)
			}
			if err != nil {
				return err
			}
			return a.printTenant(*output, t)
		})
	}
	return cmd
}

// printTenant renders one tenant.
func (a *app) printTenant(f format, t client.Tenant) error {
	return f.write(a.stdout, t, func(out *table) { tenantTable(out, t) })
}

// tenantTable renders a tenant for a person.
func tenantTable(out *table, t client.Tenant) {
	out.field("id", t.ID)
	out.field("parent", t.ParentID)
	out.field("name", t.Name)
	out.field("hostname", t.Hostname)
	out.field("status", string(t.Status))
	out.field("version", strconv.FormatInt(t.Version, 10))
	out.field("created", timeText(t.CreatedAt.Time))
	out.field("updated", timeText(t.UpdatedAt.Time))
	out.field("deactivated", timeText(t.DisabledAt.Time))
	if t.DisabledBy != nil {
		out.field("deactivated by", actorText(*t.DisabledBy))
	}
	if t.PurgeAfterDays > 0 {
		out.field("grace period", plural(int64(t.PurgeAfterDays), "day"))
	}
	out.field("purge date", timeText(t.EstimatedPurgeDate.Time))
	out.field("reactivated", timeText(t.ReactivatedAt.Time))
	if h := t.Hold; h != nil {
		end := "without an end"
		if !h.Until.IsZero() {
			end = "until " + timeText(h.Until.Time)
			if !time.Now().Before(h.Until.Time) {
				end = "ended " + timeText(h.Until.Time)
			}
		}
		out.field("hold", fmt.Sprintf("%s, by %s: %s", end, actorText(h.Actor), h.Reason))
	}
	if t.ActiveSubscriptions > 0 {
		out.field("subscriptions", fmt.Sprintf("%d active", t.ActiveSubscriptions))
	}
	if t.Block != nil {
		out.field("waits", blockText(t.ID, *t.Block))
	}
	if p := t.Purge; p != nil {
		out.field("claimed", timeText(p.ClaimedAt.Time)+" by "+p.ClaimedBy)
		out.field("planned", countsText(p.Planned))
		out.field("removed", countsText(p.Deleted))
		if p.Attempts > 0 {
			out.field("attempts", strconv.Itoa(p.Attempts))
		}
		out.field("next attempt", timeText(p.NextAttempt.Time))
		out.field("last error", p.LastError)
	}
	out.field("deleted", timeText(t.DeletedAt.Time))
	out.field("purged with", t.PurgedWith)
	if t.ResourcesDeleted != nil {
		out.field("removed", countsText(*t.ResourcesDeleted))
	}
}
