package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/purge/client"
)

// newTenantDelete returns the command "tenant delete".
func newTenantDelete(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete ID", Short: "Purge a tenant now, without waiting for its date",
		Long: `delete purges a tenant and everything below it now, for good. The configuration
(api.immediateDelete) says whether only disabled tenants can be deleted. A hold,
a protected tenant, active subscriptions, a pause and the limits stop it as they
stop a pass.

The id has to be typed to confirm it, or --yes to be given.`,
		Args: arguments("ID"),
	}
	output := outputFlag(cmd)
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	version := cmd.Flags().Int64("version", 0, "delete only if the tenant still has this version")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *version < 0 {
			return usageErrorf("--version %d: want 1 or more", *version)
		}
		var seen client.Tenant
		if !*yes {
			// What the person confirms is this version and no later one. The store
			// is not kept from others while he thinks.
			err := a.withTenant(cmd, args, func(ctx context.Context, c *session, id string) (err error) {
				if c.cannotPurge != nil {
					return c.cannotPurge
				}
				seen, err = c.Tenant(ctx, id, false)
				return err
			})
			if err != nil {
				return err
			}
			ctx, cancel := a.hangUp(cmd.Context())
			defer cancel()
			if err := a.confirm(ctx, deletionQuestion(seen), seen.ID); err != nil {
				return err
			}
			if *version == 0 {
				*version = seen.Version
			}
		}
		return a.withTenant(cmd, args, func(ctx context.Context, c *session, id string) error {
			if c.cannotPurge != nil {
				return c.cannotPurge
			}
			if *yes {
				var err error
				if seen, err = c.Tenant(ctx, id, false); err != nil {
					return err
				}
			}
			d, err := c.Delete(ctx, id, *version, client.WithHostname(seen.Hostname))
			if err != nil {
				return err
			}
			return output.write(a.stdout, d, func(t *table) { deletionTable(t, d) })
		})
	}
	return cmd
}

// deletionQuestion says what a deletion would take away.
func deletionQuestion(t client.Tenant) string {
	what := fmt.Sprintf("This purges tenant %q", t.ID)
	if t.Name != "" {
		what += fmt.Sprintf(" (%s)", printable(t.Name))
	}
	return what + fmt.Sprintf(", which is %s, and everything below it now.", t.Status)
}
