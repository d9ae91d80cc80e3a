package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// newTenantDeactivate returns the command "tenant deactivate".
func newTenantDeactivate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "deactivate ID", Short: "Begin the grace period, or begin it anew",
		Long: `deactivate begins the grace period of a tenant: it may be purged, with all of its
sub-tenants, once the period is over. Until then 'purger tenant reactivate' cancels
it with nothing lost. Deactivating again begins the period anew.`,
		Args: arguments("ID"),
	}
	output := outputFlag(cmd)
	days := cmd.Flags().Int("days", 0, "length of the grace period in days (default: the configuration's)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var r client.DeactivateRequest
		if cmd.Flags().Changed("days") {
			if *days <= 0 {
				return usageErrorf("--days %d: want a number of days above 0, within tenants.gracePeriod of the configuration", *days)
			}
			r.PurgeAfterDays = days
		}
		return a.withTenant(cmd, args, func(ctx context.Context, c *session, id string) error {
			t, err := c.Tenant(ctx, id, false)
			if err != nil {
				return err
			}
			d, err := c.Deactivate(ctx, id, r, client.WithHostname(t.Hostname))
			if err != nil {
				return err
			}
			if fromSource(ctx, c) {
				fmt.Fprintf(a.stderr, "purger: the source decides: if it lists %s as active, its next sync reactivates it again unless it is changed there, too\n", printable(id))
			}
			return output.write(a.stdout, d, func(t *table) {
				t.text("Tenant %s is %s. It may be purged from %s on.", d.ID, d.Status, timeText(d.EstimatedPurgeDate.Time))
			})
		})
	}
	return cmd
}

// newTenantReactivate returns the command "tenant reactivate".
func newTenantReactivate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "reactivate ID", Short: "Cancel the grace period",
		Long: `reactivate cancels the grace period of a tenant, and of it alone: sub-tenants that
are disabled by themselves stay so. With a source it stays active, whatever that
says, until it is disabled there anew, with a later date.`,
		Args: arguments("ID"),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withTenant(cmd, args, func(ctx context.Context, c *session, id string) error {
			t, err := c.Tenant(ctx, id, false)
			if err != nil {
				return err
			}
			r, err := c.Reactivate(ctx, id, client.WithHostname(t.Hostname))
			if err != nil {
				return err
			}
			if stands := t.Status == store.StatusDisabled || !t.ReactivatedAt.IsZero(); stands && fromSource(ctx, c) {
				fmt.Fprintf(a.stderr, "purger: whatever the source says now, %s stays active until it is disabled there anew; reactivate it there, too\n", printable(id))
			}
			return output.write(a.stdout, r, func(t *table) { t.text("Tenant %s is %s.", r.ID, r.Status) })
		})
	}
	return cmd
}

// fromSource reports whether a source says which tenants there are, as far as that
// is known.
func fromSource(ctx context.Context, c *session) bool {
	s, err := c.Source(ctx)
	return err == nil && s.LastGood != nil // one is configured, and was read
}

// newTenantHold returns the command "tenant hold".
func newTenantHold(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "hold ID --reason TEXT", Short: "Keep a tenant, and so its parents, from being purged",
		Example: "  purger tenant hold acme --reason litigation --until 2027-01-01",
		Args:    arguments("ID"),
	}
	output := outputFlag(cmd)
	reason := cmd.Flags().String("reason", "", "why (required)")
	until := cmd.Flags().String("until", "", "when the hold ends by itself: a time (RFC 3339) or a date")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *reason == "" {
			return usageErrorf("--reason is missing; want a text that says why")
		}
		end, err := parseWhen("until", *until)
		if err != nil {
			return err
		}
		return a.withTenant(cmd, args, func(ctx context.Context, c *session, id string) error {
			t, err := c.Hold(ctx, id, client.HoldRequest{Reason: *reason, Until: end})
			if err != nil {
				return err
			}
			return a.printTenant(*output, t)
		})
	}
	return cmd
}

// newTenantRelease returns the command "tenant release".
func newTenantRelease(a *app) *cobra.Command {
	return newTenantAction(a, "release ID", "End a hold", (*client.Client).Release)
}

// newTenantRetry returns the command "tenant retry".
func newTenantRetry(a *app) *cobra.Command {
	return newTenantAction(a, "retry ID", "Give a failed purge its attempts anew", (*client.Client).Retry)
}

// newTenantAction returns a command that needs nothing but the id, and shows
// the tenant as it is afterwards.
func newTenantAction(a *app, use, short string, call func(*client.Client, context.Context, string) (client.Tenant, error)) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: arguments("ID")}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withTenant(cmd, args, func(ctx context.Context, c *session, id string) error {
			t, err := call(c.Client, ctx, id)
			if err != nil {
				return err
			}
			return a.printTenant(*output, t)
		})
	}
	return cmd
}
