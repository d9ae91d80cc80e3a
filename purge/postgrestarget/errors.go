package postgrestarget

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantpurge/purger/store"
)

// asPgError returns the error of the server in err's chain, nil if there is
// none.
func asPgError(err error) *pgconn.PgError {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg
	}
	return nil
}

// refused returns nil for nil, and turns an error that is known to have had no
// effect into one with a code. Its text says what PostgreSQL said, but not the
// detail, which quotes values of rows. The chain ends here: a time-out that had no
// effect must not be taken for a lost answer.
func refused(doing string, err error) error {
	if err == nil {
		return nil
	}
	var coded *store.Error
	if errors.As(err, &coded) {
		return err
	}
	pg := asPgError(err)
	if pg == nil {
		return store.Errorf(store.Unavailable, "%s: %s", doing, plain(err))
	}
	return store.Errorf(codeOf(pg.Code), "%s: %s", doing, describe(pg))
}

// quoted finds what PostgreSQL quotes in a message, in whatever language.
var quoted = regexp.MustCompile(`(?s)["«»„“”].*["«»„“”]`)

// describe returns what the server said, in one line and without values. Of the
// messages it is those about data (class 22) that may quote one.
func describe(pg *pgconn.PgError) string {
	if ofApplication(pg) {
		return applications(pg)
	}
	text := pg.Message
	if strings.HasPrefix(pg.Code, "22") {
		text = quoted.ReplaceAllString(text, `"..."`)
	}
	if pg.ConstraintName != "" && !strings.Contains(text, pg.ConstraintName) {
		text += fmt.Sprintf(" (constraint %q of %q)", pg.ConstraintName, pg.TableName)
	}
	switch pg.Code {
	case codeInsufficientPrivilege:
		if strings.Contains(text, "row-level security") {
			text += "; rows that a policy hides cannot be told from rows that are gone: give the role BYPASSRLS"
		}
	case codeLockNotAvailable:
		text += "; the application holds a lock on these rows"
	case codeNoStatement, codeStatementExists:
		text += "; a pooler that changes connections needs default_query_exec_mode=exec in the DSN"
	case codeProtocolViolation:
		if strings.Contains(text, "startup parameter") {
			text += "; leave it out of the DSN, and name each table with its schema"
		}
	}
	return fmt.Sprintf("%s (SQLSTATE %s)", text, pg.Code)
}

// ofApplication reports whether code of the application, or another server, has worded
// an error, whatever the SQLSTATE that it gave it: it may have put anything in.
func ofApplication(pg *pgconn.PgError) bool {
	switch pg.Routine {
	case "exec_stmt_raise", "exec_stmt_assert", "pgfdw_report_error", "dblink_res_error":
		return true
	}
	return strings.HasPrefix(pg.Code, "P0") || strings.HasPrefix(pg.File, "pl") // pl_exec.c, plpy_elog.c, plperl.c
}

// routine finds the function in what PostgreSQL says of where an error arose; its
// arguments are shown as types.
var routine = regexp.MustCompile(`^PL/\S+.*? (\S+\([^()]*\)) \S+ [0-9]+`)

// applications is [describe] for an error that code of the application has worded.
// Neither its text is shown nor the names that the code may have given it.
func applications(pg *pgconn.PgError) string {
	where := ""
	first, _, _ := strings.Cut(pg.Where, "\n")
	if m := routine.FindStringSubmatch(first); m != nil {
		where = " " + m[1]
	}
	return fmt.Sprintf("code of the application in the database%s raised an error, which the server's log has (SQLSTATE %s)", where, pg.Code)
}

// plain returns the text of an error that is not the server's. That of a failed
// connection names host, role and database, never the password.
func plain(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	}
	return err.Error()
}

// The states that are told apart.
const (
	codeInsufficientPrivilege = "42501"
	codeUndefinedTable        = "42P01"
	codeUndefinedColumn       = "42703"
	codeInvalidSchema         = "3F000"
	codeLockNotAvailable      = "55P03"
	codePlanChanged           = "0A000" // "cached plan must not change result type"
	codeCanceled              = "57014" // for the time that it took, or by request
	codeBadReference          = "42P10" // no index is as ON CONFLICT wants it
	codeWrongType             = "42804"
	codeSerialization         = "40001"
	codeCheckViolation        = "23514" // of a domain
	codeForeignKey            = "23503"
	codeNoStatement           = "26000"
	codeStatementExists       = "42P05"
	codeProtocolViolation     = "08P01" // what PgBouncer gives to its own errors
)

// codeOf maps an SQLSTATE. [store.Internal] is not among the answers: it would
// say that rows may have been removed.
func codeOf(state string) store.Code {
	switch state {
	case codeInsufficientPrivilege:
		return store.Forbidden
	case codeLockNotAvailable, "25006", "25P03", codePlanChanged, codeNoStatement, codeStatementExists:
		return store.Unavailable
	}
	switch state[:min(len(state), 2)] {
	case "08", "40", "53", "57", "58", "XX":
		return store.Unavailable
	case "28":
		return store.Unauthenticated
	}
	return store.Precondition
}

// schemaChanged reports whether an error hints that what is known of the tables
// is out of date.
func schemaChanged(err error) bool {
	pg := asPgError(err)
	if pg == nil {
		return errors.Is(err, errMerged)
	}
	switch pg.Code {
	case codeUndefinedTable, codeUndefinedColumn, codeInvalidSchema, codePlanChanged, codeInsufficientPrivilege,
		codeBadReference, codeWrongType:
		return true
	}
	return false
}

// statementsLost reports whether the server does not have the prepared statements
// that it should have: something between has changed the connection to it.
func statementsLost(err error) bool {
	pg := asPgError(err)
	return pg != nil && (pg.Code == codeNoStatement || pg.Code == codeStatementExists)
}

// rolledBack reports whether the error is the server's answer to a COMMIT. One
// about the connection is not: what stands between may have made it up.
func rolledBack(err error) bool {
	pg := asPgError(err)
	return pg != nil && severity(pg) == "ERROR" && !strings.HasPrefix(pg.Code, "08")
}

// aboutRows reports whether the server refused because of what one tenant's
// rows are like: locked, referenced, too many. Then the others may fare better
// alone.
func aboutRows(err error) bool {
	if errors.Is(err, errStrays) {
		return true
	}
	pg := asPgError(err)
	if pg == nil || severity(pg) != "ERROR" {
		return false
	}
	switch pg.Code[:min(len(pg.Code), 2)] {
	case "42", "3F", "26", "28", "53", "58", "0A":
		return false
	}
	return pg.Code != "25006"
}

// severity returns ERROR when the transaction alone was ended, and FATAL or
// PANIC when the connection was.
func severity(pg *pgconn.PgError) string {
	if pg.SeverityUnlocalized != "" {
		return pg.SeverityUnlocalized
	}
	return pg.Severity
}
