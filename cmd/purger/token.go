package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/cmd/internal/api"
	"github.com/tenantpurge/purger/purge/client"
)

// newToken returns the command "token".
func newToken(a *app) *cobra.Command {
	var role string
	var life time.Duration
	cmd := &cobra.Command{
		Use: "token", Short: "Make a short-lived token for a script", GroupID: groupDaemon,
		Long: `token prints a bearer token with which a script may call the daemon of the data
directory on TCP, as whoever runs this command. Only super_admins on the daemon's
Unix socket may make one. It ends with its time, and with the daemon.`,
		Example: "  (umask 077; purger token --role operator > token)\n  purger --server http://127.0.0.1:9464 --token-file token status",
		Args:    arguments(),
	}
	cmd.Flags().StringVar(&role, "role", string(client.RoleViewer), "what its bearer may do: viewer, operator or super_admin")
	cmd.Flags().DurationVar(&life, "for", api.DefaultTokenLife, "how long it is good for, 1s to "+api.MaxTokenLife.String())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if life < time.Second || life > api.MaxTokenLife {
			return usageErrorf("--for %s: want 1s to %s", life, api.MaxTokenLife)
		}
		parsed, err := client.ParseRole(role)
		if err != nil || parsed == client.RoleTenant {
			return usageErrorf("--role %q: want viewer, operator or super_admin", role)
		}
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			t, err := c.IssueToken(ctx, client.TokenRequest{Role: parsed, Seconds: int64(life / time.Second)})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.stdout, t.Token)
			return err
		})
	}
	return cmd
}
