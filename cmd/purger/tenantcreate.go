package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// newTenantCreate returns the command "tenant create".
func newTenantCreate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "create ID", Short: "Register a tenant, which begins active",
		Long: `create registers a tenant. Its parent is for ever. Where there is no store yet, one
is made.`,
		Example: "  purger tenant create acme-eu --parent acme --name 'Acme Europe' --hostname acme.eu.example.com",
		Args:    arguments("ID"),
	}
	output := outputFlag(cmd)
	var t client.NewTenant
	cmd.Flags().StringVar(&t.ParentID, "parent", "", "id of the parent; without it the tenant is a root")
	cmd.Flags().StringVar(&t.Name, "name", "", "name for people")
	cmd.Flags().StringVar(&t.Hostname, "hostname", "", "host name under which it is served")
	cmd.Flags().IntVar(&t.ActiveSubscriptions, "active-subscriptions", 0, "number of active subscriptions; above 0 it is not purged")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t.ID = args[0]
		// Checked before the store is opened, which may make one.
		check := store.Tenant{ID: t.ID, ParentID: t.ParentID, Name: t.Name, Hostname: t.Hostname,
			Status: store.StatusActive, ActiveSubscriptions: t.ActiveSubscriptions}
		if err := check.Validate(); err != nil {
			return usageErrorf("%w", err)
		}
		return a.do(cmd, create, func(ctx context.Context, c *session) error {
			made, err := c.Create(ctx, t)
			if err != nil {
				return err
			}
			return a.printTenant(*output, made)
		})
	}
	return cmd
}
