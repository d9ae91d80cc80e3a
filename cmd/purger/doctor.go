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
		Long: `doctor asks each target, or those that are named, for what would make a purge slow,
wrong or impossible: rights that are missing or too wide, foreign keys without an
index, a directory that cannot be searched. It changes nothing. The exit code is 1
when it found an error.`,
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
					t.text("Nothing was found.")
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
// since they are to be copied.
func fixes(t *table, found []finding) {
	for _, f := range found {
		if f.Fix == "" {
			continue
		}
		t.text("")
		t.text("To mend %s (%s):", f.Subject, f.Target)
		for line := range strings.SplitSeq(strings.TrimRight(f.Fix, "\n"), "\n") {
			t.text("  %s", line)
		}
	}
}

// finding is what was found in a target.
type finding struct {
	Target string `json:"target"`
	purge.Finding
}

// diagnose asks targets, all of them when none is named.
func diagnose(ctx context.Context, c *session, names []string) ([]finding, error) {
	list, err := c.Targets(ctx)
	if err != nil {
		return nil, err
	}
	found := []finding{}
	for _, name := range names {
		if !slices.ContainsFunc(list, func(t client.Target) bool { return t.Name == name }) {
			return nil, usageErrorf("NAME %q: there is no such target in the configuration", name)
		}
	}
	for _, t := range list {
		if len(names) > 0 && !slices.Contains(names, t.Name) {
			continue
		}
		wrong := func(text string) {
			found = append(found, finding{t.Name, purge.Finding{Severity: purge.SeverityError, Subject: t.Name, Text: text}})
		}
		if !t.CanDiagnose {
			if r, err := c.TestTarget(ctx, t.Name); err != nil {
				wrong(err.Error())
			} else if !r.OK {
				wrong(r.Error)
			}
			continue
		}
		r, err := c.Diagnose(ctx, t.Name)
		if err != nil {
			return nil, err
		}
		for _, f := range r.Data {
			found = append(found, finding{t.Name, f})
		}
		if r.Error != "" {
			wrong(r.Error)
		}
	}
	return found, nil
}
