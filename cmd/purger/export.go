package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/purge/client"
)

// newExport returns the command "export".
func newExport(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "export [FILE|-]", Short: "Write tenants and resources as NDJSON", GroupID: groupTenants,
		Long: `export writes what import reads: to a file, which appears when it is whole, or to
standard output. Tenants that are being purged are left out and counted.`,
		Args: arguments("[FILE|-]"),
	}
	force := cmd.Flags().Bool("force", false, "replace a file that is there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			var s client.ExportSummary
			fill := func(w io.Writer) (err error) {
				s, err = c.Export(ctx, w)
				return err
			}
			if len(args) == 0 || args[0] == "-" {
				if err := fill(a.stdout); err != nil {
					return err
				}
			} else if err := writeFile(args[0], *force, fill); err != nil {
				return err
			}
			if s.Skipped > 0 {
				fmt.Fprintf(a.stderr, "purger: export: %s left out, being purged\n", plural(s.Skipped, "tenant"))
			}
			return nil
		})
	}
	return cmd
}
