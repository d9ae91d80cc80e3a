package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/purge/client"
)

// newImport returns the command "import".
func newImport(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "import FILE|-", Short: "Read tenants and resources from NDJSON", GroupID: groupTenants,
		Long: `import reads one JSON object a line, in any order. Everything is checked before
anything is written, and every error is reported with its line. Running the same
command again completes an import that was interrupted, and changes nothing after
one that was not. While an import is incomplete nothing is purged. Where there is
no store yet, one is made.`,
		Args: arguments("FILE|-"),
	}
	output := outputFlag(cmd)
	o := client.ImportOptions{}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "only check, against what is in the store")
	cmd.Flags().StringVar(&o.OnConflict, "on-conflict", "fail", "what to do about a record that differs from the one in the store: fail, or keep the one in the store")
	cmd.Flags().BoolVar(&o.Supersede, "supersede", false, "take the place of another import that is not complete, whose missing records nothing waits for any more")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.OnConflict != "fail" && o.OnConflict != "keep" {
			return usageErrorf("--on-conflict %q: want fail or keep", o.OnConflict)
		}
		name, in, err := a.openInput(args[0])
		if err != nil {
			return err
		}
		defer in.Close() // it was only read
		missing := create
		if o.DryRun {
			missing = scratch
		}
		return a.do(cmd, missing, func(ctx context.Context, c *session) error {
			p := a.newProgress()
			s, err := c.Import(ctx, in, o, p.show)
			p.clear()
			if err != nil {
				return importError(name, err)
			}
			if err := output.write(a.stdout, s, func(t *table) { importTable(t, name, s, o.DryRun) }); err != nil {
				return err
			}
			if !s.Complete && !o.DryRun {
				return &exitError{code: exitTryAgain, err: errors.New(
					"the import is not complete and nothing is purged until it is; run the same command again")}
			}
			return nil
		})
	}
	return cmd
}

// openInput opens the file that an argument names; "-" is standard input.
func (a *app) openInput(arg string) (name string, in io.ReadCloser, err error) {
	if arg == "-" {
		return "standard input", io.NopCloser(a.stdin), nil
	}
	f, err := os.Open(arg)
	if err != nil {
		return "", nil, usageErrorf("%w; want a file that can be read, or - for standard input", err)
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return "", nil, errors.Join(usageErrorf("%s is a directory; want a file, or - for standard input", arg), f.Close())
	}
	return arg, f, nil
}

// importError names the file and lists what is wrong with it, line by line. The
// code stays that of err.
func importError(name string, err error) error {
	var bad *client.ImportError
	if !errors.As(err, &bad) {
		return fmt.Errorf("%s: %w", name, err)
	}
	var b strings.Builder
	for _, p := range bad.Problems {
		b.WriteString(name)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		fmt.Fprintf(&b, ": %s\n", p.Message)
	}
	if more := bad.Total - int64(len(bad.Problems)); more > 0 {
		fmt.Fprintf(&b, "%s: and %s\n", name, plural(more, "more error"))
	}
	fmt.Fprintf(&b, "%s: nothing was imported", name)
	return &exitError{code: exitCode(err), err: importFailure{b.String(), err}}
}

// importFailure is an error with a text of its own.
type importFailure struct {
	text  string
	cause error
}

// Error implements error.
func (e importFailure) Error() string { return e.text }

// Unwrap returns the cause.
func (e importFailure) Unwrap() error { return e.cause }

// importTable renders the summary of an import.
func importTable(t *table, name string, s client.ImportSummary, dryRun bool) {
	t.row("", "NEW", "UNCHANGED", "CONFLICTS", "SKIPPED")
	for _, r := range []struct {
		name string
		n    client.Tally
	}{{"tenants", s.Tenants}, {"resources", s.Resources}} {
		t.row(r.name, number(r.n.New), number(r.n.Unchanged), number(r.n.Conflict), number(r.n.Skipped))
	}
	for _, c := range s.Conflicts {
		t.text("%s:%d: %s: %s", name, c.Line, c.ID, c.Message)
	}
	if more := s.Tenants.Conflict + s.Resources.Conflict - int64(len(s.Conflicts)); more > 0 {
		t.text("%s: and %s", name, plural(more, "more conflict"))
	}
	if dryRun {
		t.text("%s checked; nothing was written.", plural(s.Lines, "line"))
		return
	}
	t.text("%s imported.", plural(s.Lines, "line"))
}
