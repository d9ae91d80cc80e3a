package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// The exit codes. They are part of the interface: scripts, systemd and
// Kubernetes act on them. From 69 on they are those of sysexits.h.
const (
	exitOK          = 0
	exitFailure     = 1  // the command was understood and refused, or failed
	exitUsage       = 2  // the command line or its input is wrong
	exitSomeFailed  = 3  // a pass ended; some tenants failed or will be retried
	exitStore       = 65 // the daemon cannot use the store as it is; trying again does not help
	exitUnreachable = 69 // another process has the store, and does not answer
	exitTryAgain    = 75 // a gate is closed, a limit is reached, a sync is refused or failed, it waits for a second person, or it is busy
	exitConfig      = 78 // the configuration is wrong
)

// exitError is an error with an exit code of its own. A nil err says that
// everything was said already, as in the report of a pass.
type exitError struct {
	code int
	err  error
	// help says that the help of the command tells what would be right.
	help bool
}

// Error implements error.
func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

// Unwrap returns the cause.
func (e *exitError) Unwrap() error { return e.err }

// usageErrorf returns an error about the command line.
func usageErrorf(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...), help: true}
}

// exitCode returns the exit code for what a command returned.
func exitCode(err error) int {
	var exit *exitError
	var problems *config.Problems
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &problems):
		return exitConfig
	case errors.Is(err, client.ErrMisaddressed):
		return exitUnreachable
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return exitTryAgain
	}
	switch store.CodeOf(err) {
	case store.Invalid:
		return exitUsage
	case store.Unavailable, store.Exhausted:
		return exitTryAgain
	}
	return exitFailure
}

// explain says on w what went wrong, where, and what would be right, each line
// with the name of the program so that it is found in a mixed log.
func explain(w io.Writer, cmd *cobra.Command, err error) {
	var exit *exitError
	if errors.As(err, &exit) && exit.err == nil {
		return
	}
	where := strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()), " ")
	if where != "" {
		where += ": "
	}
	for line := range strings.SplitSeq(strings.TrimRight(err.Error(), "\n"), "\n") {
		fmt.Fprintf(w, "purger: %s%s\n", where, printable(line))
	}
	if exit != nil && exit.help {
		fmt.Fprintf(w, "purger: see '%s --help'\n", cmd.CommandPath())
	}
}
