package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/purge/client"
)

// newTargetCommand returns the command "target".
func newTargetCommand(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use: "target", Short: "Look at the systems outside the store, and make them ready", GroupID: groupPurging,
		Long: `Targets are systems outside the store that hold resources of tenants: databases,
directories, authorisation servers. The configuration names them (targets), and a
purge removes what a tenant has in each.`,
	})
	cmd.AddCommand(newTargetList(a), newTargetTest(a), newTargetInit(a))
	return cmd
}

// newTargetList returns the command "target list".
func newTargetList(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the targets, with what is being purged in them",
		Args: arguments(),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.do(cmd, a.withoutStore(), func(ctx context.Context, c *session) error {
			list, err := c.Targets(ctx)
			if err != nil {
				return err
			}
			return output.write(a.stdout, list, func(t *table) {
				if len(list) == 0 {
					t.text("There are no targets in the configuration: everything is in the store.")
					return
				}
				t.row("TARGET", "KINDS", "WINDOW", "UNDER WAY")
				for _, v := range list {
					underWay := slices.DeleteFunc(slices.Clone(v.Progress), through)
					t.row(v.Name, holdsText(v), v.Window, plural(int64(len(underWay)), "tenant"))
				}
			})
		})
	}
	return cmd
}

// holdsText renders what a target holds and knows.
func holdsText(v client.Target) string {
	var names []string
	for _, k := range v.Kinds {
		names = append(names, string(k))
	}
	if v.CountsSubscriptions {
		names = append(names, "subscriptions")
	}
	return strings.Join(names, ", ")
}

// newTargetTest returns the command "target test".
func newTargetTest(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "test NAME", Short: "Ask a target whether it can be used, and change nothing",
		Args: arguments("NAME"), ValidArgsFunction: a.completeTargets(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.do(cmd, a.withoutStore(), func(ctx context.Context, c *session) error {
			r, err := c.TestTarget(ctx, args[0])
			if err != nil {
				return err
			}
			if !r.OK {
				return errors.New(r.Error)
			}
			fmt.Fprintf(a.stdout, "Target %s can be used.\n", printable(args[0]))
			return nil
		})
	}
	return cmd
}

// newTargetInit returns the command "target init".
func newTargetInit(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "init NAME", Short: "Make what a target needs of its own, such as a table",
		Long: `init makes what a target needs of its own in its system: for PostgreSQL the ledger,
a table that makes the counts on receipts exact even when a connection dies at the
commit. To call it again changes nothing. Where the role may not make it, what
somebody who may has to run goes to standard output, and the exit code is 1.`,
		Args: arguments("NAME"), ValidArgsFunction: a.completeTargets(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.do(cmd, a.withoutStore(), func(ctx context.Context, c *session) error {
			if err := c.InitTarget(ctx, args[0]); err != nil {
				return a.showStatements(err)
			}
			fmt.Fprintf(a.stdout, "Target %s has what it needs.\n", printable(args[0]))
			return nil
		})
	}
	return cmd
}

// showStatements writes what an error says that somebody else may run, which is all
// but its first line, to standard output as it stands, and returns the rest.
func (a *app) showStatements(err error) error {
	text, statements, ok := strings.Cut(err.Error(), ":\n")
	if !ok {
		return err
	}
	for line := range strings.SplitSeq(strings.TrimRight(statements, "\n"), "\n") {
		fmt.Fprintln(a.stdout, printable(line))
	}
	return &exitError{code: exitCode(err), err: errors.New(text + " what is on standard output")}
}

// withoutStore returns what a command on targets does about a data directory
// without a store: with a configuration it looks at the targets all the same, so that
// they can be tried before there is anything in the store.
func (a *app) withoutStore() whenMissing {
	if a.configFile != "" {
		return scratch
	}
	return refuse
}
