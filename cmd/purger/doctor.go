package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
)

// newDoctor returns the command "doctor".
func newDoctor(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor [NAME...]", Short: "Look for what would make a purge slow, wrong or impossible", GroupID: groupPurging,
		Long: `doctor asks the source and each target, or those that are named ("source" is the
source), for what would make a purge slow, wrong or impossible: rights that are
missing or too wide, foreign keys without an index, a directory that cannot be
searched. It changes nothing. The exit code is 1 when it found an error.`,
		Args: cobra.ArbitraryArgs, ValidArgsFunction: a.completeTargets(maxCompleted),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		return a.do(cmd, a.withoutStore(), func(ctx context.Context, c *session) error {
			found, err := diagnose(ctx, c, names)
			if err != nil {
				return err
			}
			err = output.write(a.stdout, found, func(t *table) {
				if len(found) == 0 {
					t.text("There are no targets and no source in the configuration: everything is in the store.")
					return
				}
				t.row("TARGET", "SEVERITY", "SUBJECT", "FINDING")
				for _, f := range found {
					t.row(f.Target, string(f.Severity), f.Subject, strings.Join(strings.Fields(f.Text), " "))
				}
				fixes(t, found)
			})
			if err == nil && slices.ContainsFunc(found, func(f finding) bool { return f.Severity == purge.SeverityError }) {
				err = &exitError{code: exitFailure}
			}
			return err
		})
	}
	return cmd
}

// fixes shows below the table what would mend each finding, in lines as they are,
// since they are to be copied; once, where it would mend several.
func fixes(t *table, found []finding) {
	type fix struct{ target, text string }
	shown := map[fix]bool{}
	for _, f := range found {
		if f.Fix == "" || shown[fix{f.Target, f.Fix}] {
			continue
		}
		shown[fix{f.Target, f.Fix}] = true
		t.text("")
		t.text("To mend %s (%s):", f.Subject, f.Target)
		for line := range strings.SplitSeq(strings.TrimRight(f.Fix, "\n"), "\n") {
			t.text("  %s", line)
		}
	}
}

// sourceName stands for the source among the names of targets.
const sourceName = "source"

// finding is what was found in a target, or in the source.
type finding struct {
	Target string `json:"target"`
	purge.Finding
}

// diagnose asks targets and the source, all of them when none is named.
func diagnose(ctx context.Context, c *session, names []string) ([]finding, error) {
	list, err := c.Targets(ctx)
	if err != nil {
		return nil, err
	}
	source, err := c.source(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		known := slices.ContainsFunc(list, func(t client.Target) bool { return t.Name == name })
		switch {
		case known || name == sourceName && source != nil:
		case name == sourceName:
			return nil, usageErrorf("NAME %q: there is no source in the configuration", name)
		default:
			return nil, usageErrorf("NAME %q: there is no such target in the configuration", name)
		}
	}
	wanted := func(name string) bool { return len(names) == 0 || slices.Contains(names, name) }
	found := []finding{}
	if source != nil && wanted(sourceName) {
		r, err := c.DiagnoseSource(ctx)
		if err != nil {
			return nil, err
		}
		found = append(found, findings(sourceName, r)...)
	}
	for _, t := range list {
		if !wanted(t.Name) {
			continue
		}
		r, err := diagnoseTarget(ctx, c, t)
		if err != nil {
			return nil, err
		}
		found = append(found, findings(t.Name, r)...)
	}
	return found, nil
}

// diagnoseTarget asks a target, which it only checks if it can do no more.
func diagnoseTarget(ctx context.Context, c *session, t client.Target) (client.Findings, error) {
	if t.CanDiagnose {
		return c.Diagnose(ctx, t.Name)
	}
	r, err := c.TestTarget(ctx, t.Name)
	if err != nil {
		return client.Findings{Error: err.Error()}, nil //nolint:nilerr // it is a finding
	}
	return client.Findings{Error: r.Error}, nil
}

// findings are those of one system, in which at least one tells how it is.
func findings(name string, r client.Findings) []finding {
	var found []finding
	for _, f := range r.Data {
		found = append(found, finding{name, f})
	}
	if r.Error != "" {
		return append(found, finding{name, purge.Finding{Severity: purge.SeverityError, Subject: name, Text: r.Error}})
	}
	if !slices.ContainsFunc(r.Data, func(f purge.Finding) bool { return f.Severity != purge.SeverityInfo }) {
		found = append(found, finding{name, purge.Finding{Severity: purge.SeverityInfo, Subject: name, Text: "nothing to mend"}})
	}
	return found
}
