package main

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/cmd/internal/config"
)

// app is what every command has: the process's streams, its signals, and the
// flags of the root command.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	signals        *signals

	dataDir    string // "" unless --data-dir was given
	configFile string // "" for none
	server     string // "" for the daemon of the data directory
	tokenFile  string // "" for no token
}

// The groups of commands in the help.
const (
	groupDaemon   = "daemon"
	groupPurging  = "purging"
	groupTenants  = "tenants"
	groupEvidence = "evidence"
	groupUpkeep   = "upkeep"
)

// newRoot returns the whole tree of commands.
func newRoot(a *app) *cobra.Command {
	root := group(&cobra.Command{
		Use:   "purger",
		Short: "Off-boards tenants: a grace period, then a purge for good, with a receipt",
		Long: `purger carries out tenant off-boarding. A tenant that leaves is deactivated and
gets an estimated purge date. Until then it can be reactivated with nothing lost;
from then on purger removes it for good, with its sub-tenants, OAuth clients, API
keys, credentials and users, and leaves a receipt.

Exit codes: 0 ok, 1 failure, 2 usage or bad input, 3 some tenants of a pass
failed, 65 the daemon cannot use its store as it is, 69 the daemon has the store
and does not answer, 75 try again (paused, halted, busy, or it waits for a second
person), 78 configuration.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	})
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageErrorf("%w", err) })
	root.PersistentFlags().StringVar(&a.dataDir, "data-dir", "", "directory of the store and the daemon's socket (default: dataDir of the configuration, ./purger-data)")
	root.PersistentFlags().StringVar(&a.configFile, "config", "", "configuration file; without it every field has its default")
	root.PersistentFlags().StringVar(&a.server, "server", "", "URL of a daemon elsewhere, such as https://purger.example.com:9464; SSL_CERT_FILE may name its certificate authority")
	root.PersistentFlags().StringVar(&a.tokenFile, "token-file", "", "file with the bearer token for --server")
	root.AddGroup(
		&cobra.Group{ID: groupDaemon, Title: "The daemon:"},
		&cobra.Group{ID: groupPurging, Title: "Purging:"},
		&cobra.Group{ID: groupTenants, Title: "Tenants:"},
		&cobra.Group{ID: groupEvidence, Title: "Evidence:"},
		&cobra.Group{ID: groupUpkeep, Title: "Upkeep:"},
	)
	root.AddCommand(
		newServe(a), newStatus(a),
		newRun(a), newPlan(a), newPause(a), newResume(a), newApproval(a), newTargetCommand(a), newDoctor(a), newSourceCommand(a),
		newTenant(a), newImport(a), newExport(a),
		newReceipt(a), newAudit(a), newToken(a),
		newStore(a), newConfig(a), newVersion(a), newMan(a),
	)
	return root
}

// group makes cmd, which only has commands below it, refuse anything else with
// a suggestion. cobra by itself does that for the root alone.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var names []string
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				names = append(names, c.Name())
			}
		}
		if len(args) == 0 {
			return usageErrorf("a command is missing; want one of %s", strings.Join(names, ", "))
		}
		if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
			return usageErrorf("unknown command %q; did you mean %s?", args[0], strings.Join(s, " or "))
		}
		return usageErrorf("unknown command %q; want one of %s", args[0], strings.Join(names, ", "))
	}
	return cmd
}

// here refuses the flags for a daemon elsewhere, for a command that is about this
// machine.
func (a *app) here(cmd *cobra.Command) error {
	name := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
	switch {
	case a.server != "":
		return usageErrorf("--server is for commands that call a daemon elsewhere; %s works here alone: want it without", name)
	case a.tokenFile != "":
		return usageErrorf("--token-file is for commands that call a daemon elsewhere; %s works here alone: want it without", name)
	}
	return nil
}

// arguments returns a check for exactly the named arguments. A name in brackets
// may be left out.
func arguments(names ...string) cobra.PositionalArgs {
	required := 0
	for _, n := range names {
		if !strings.HasPrefix(n, "[") {
			required++
		}
	}
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < required:
			return usageErrorf("%s is missing; want %s", names[len(args)], strings.Join(names, " "))
		case len(args) > len(names) && len(names) == 0:
			return usageErrorf("unexpected argument %q; want none", args[0])
		case len(args) > len(names):
			return usageErrorf("unexpected argument %q; want only %s", args[len(names)], strings.Join(names, " "))
		}
		return nil
	}
}

// config returns the configuration in force: the file's, or the defaults
// without one, and the flags above it. A relative dataDir is relative to the
// working directory. With an error it is as [config.Load] returns it.
func (a *app) config() (config.Config, error) {
	cfg := config.Default()
	var err error
	if a.configFile != "" {
		if cfg, err = config.Load(a.configFile); err != nil {
			err = &exitError{code: exitConfig, err: err}
		}
	}
	if a.dataDir != "" {
		cfg.DataDir = a.dataDir
	}
	return cfg, err
}

// hangUp returns a context that SIGHUP ends as well: for every command but the
// daemon it means that the terminal is gone.
func (a *app) hangUp(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case sig := <-a.signals.reload:
			cancel(stoppedBy{sig})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// terminal reports whether stream, a reader or writer, is a terminal.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && isTerminal(int(f.Fd()))
}
