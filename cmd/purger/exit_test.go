package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func TestExitCode_OfEveryKindOfError(t *testing.T) {
	problems := &config.Problems{List: []config.Problem{{Want: "x"}}}
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("any"), 1},
		{store.Errorf(store.NotFound, "x"), 1},
		{store.Errorf(store.Gone, "x"), 1},
		{store.Errorf(store.Conflict, "x"), 1},
		{store.Errorf(store.Precondition, "x"), 1},
		{store.Errorf(store.Internal, "x"), 1},
		{store.Errorf(store.Forbidden, "x"), 1},
		{&store.BlockedError{TenantID: "a"}, 1},
		{store.Errorf(store.Invalid, "x"), 2},
		{usageErrorf("x"), 2},
		{unusable(store.Errorf(store.Precondition, "foreign")), 65},
		{unusable(fmt.Errorf("open: %w", store.Errorf(store.Internal, "damaged"))), 65},
		{unusable(store.Errorf(store.Unavailable, "locked")), 75},
		{&exitError{code: exitSomeFailed}, 3},
		{&exitError{code: exitUnreachable, err: store.Errorf(store.Unavailable, "x")}, 69},
		{store.Errorf(store.Unavailable, "x"), 75},
		{store.Errorf(store.Exhausted, "x"), 75},
		{&store.GateError{}, 75},
		{context.Canceled, 75},
		{stoppedBy{}, 75},
		{problems, 78},
		{fmt.Errorf("in a file: %w", problems), 78},
		{errors.Join(errors.New("any"), store.Errorf(store.Unavailable, "x")), 75},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("exitCode(%v) = %d; want %d", c.err, got, c.want)
		}
	}
}

func TestPassError_FailuresOutweighGates(t *testing.T) {
	row := func(o purge.Outcome) []purge.Row { return []purge.Row{{ID: "a", Outcome: o}} }
	for _, c := range []struct {
		report purge.Report
		want   int
	}{
		{purge.Report{Result: purge.ResultOK, Tenants: row(purge.OutcomeDeleted)}, 0},
		{purge.Report{Result: purge.ResultOK, Tenants: row(purge.OutcomeBlocked)}, 0},
		{purge.Report{Result: purge.ResultPartial, Tenants: row(purge.OutcomeFailed)}, 3},
		{purge.Report{Result: purge.ResultPartial, Tenants: row(purge.OutcomeRetrying)}, 3},
		{purge.Report{Result: purge.ResultPartial, Omitted: 1}, 3},
		{purge.Report{Result: purge.ResultHalted, Tenants: row(purge.OutcomeFailed)}, 3},
		{purge.Report{Result: purge.ResultHalted}, 75},
		{purge.Report{Result: purge.ResultPaused}, 75},
		{purge.Report{Result: purge.ResultImport}, 75},
		{purge.Report{Result: purge.ResultInterrupted}, 75},
		{purge.Report{Result: purge.ResultError, Error: "disk"}, 1},
		{purge.Report{Result: "new"}, 1},
	} {
		if got := exitCode(passError(c.report)); got != c.want {
			t.Errorf("%s %v: exit code %d; want %d", c.report.Result, c.report.Tenants, got, c.want)
		}
	}
}

func TestExplain_SaysWhatWhereAndNothingHarmful(t *testing.T) {
	root := &cobra.Command{Use: "purger"}
	tenant := &cobra.Command{Use: "tenant"}
	get := &cobra.Command{Use: "get ID"}
	root.AddCommand(tenant)
	tenant.AddCommand(get)
	for _, c := range []struct {
		cmd  *cobra.Command
		err  error
		want string
	}{
		{get, errors.New("no such tenant"), "purger: tenant get: no such tenant\n"},
		{root, errors.New("a\nb"), "purger: a\npurger: b\n"},
		{get, usageErrorf("bad"), "purger: tenant get: bad\npurger: see 'purger tenant get --help'\n"},
		{get, store.Errorf(store.Invalid, "bad"), "purger: tenant get: bad\n"},
		{get, &exitError{code: exitSomeFailed}, ""},
		{get, errors.New("\x1b[2J\u202egone"), `purger: tenant get: "\x1b[2J\u202egone"` + "\n"},
	} {
		var b bytes.Buffer
		explain(&b, c.cmd, c.err)
		if b.String() != c.want {
			t.Errorf("explained %q; want %q", b.String(), c.want)
		}
	}
}
