package postgressource

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tenantpurge/purger/purge"
)

var _ purge.Doctor = (*Source)(nil)

// codeInsufficientPrivilege is what PostgreSQL says where the role lacks a right.
const codeInsufficientPrivilege = "42501"

// muchCost is from which cost on, in PostgreSQL's units, to look for those below a
// tenant is slow. By an index it is a few; without one it is this much from some
// 50,000 tenants on, and takes milliseconds.
const muchCost = 1000

// Diagnose implements [purge.Doctor]. It runs the query for no tenant, so that
// PostgreSQL says whether the role may, and looks at the columns, and at the plan for
// those below a tenant; it reads no row.
func (s *Source) Diagnose(ctx context.Context) ([]purge.Finding, error) {
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	var found []purge.Finding
	err := s.conns.with(ctx, func(conn *pgx.Conn) error {
		var role string
		var super bool
		err := conn.QueryRow(ctx, `SELECT rolname, rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user`).Scan(&role, &super)
		if err != nil {
			return err
		}
		found = nil // a connection that broke is replaced
		fields, err := s.ask(ctx, conn)
		if f, ok := wrongQuery(err, role); ok {
			found = append(found, f)
		} else if err != nil {
			return err
		} else {
			found = append(append(found, aboutColumns(fields)...), aboutZones(fields)...)
			more, err := s.aboutChildren(ctx, conn, fields, role)
			if err != nil {
				return err
			}
			found = append(more, found...)
		}
		if super {
			found = append(found, purge.Finding{
				Severity: purge.SeverityWarning, Subject: "role " + role,
				Text: "it is a superuser, and the query needs nothing but SELECT; want a role of its own in the dsn",
				Fix:  "CREATE ROLE purger LOGIN;",
			})
		}
		return nil
	})
	found = append(found, s.aboutEncryption()...)
	if err == nil && s.cfg.Channel != "" {
		var f []purge.Finding
		f, err = s.aboutChannel(whole)
		found = append(found, f...)
	}
	return found, failed("diagnose", err)
}

// aboutEncryption looks at what the way to the server is like.
func (s *Source) aboutEncryption() []purge.Finding {
	switch open, blind := inTheClear(&s.conn.Config), unverified(&s.conn.Config); {
	case open != "":
		return []purge.Finding{{Severity: purge.SeverityWarning, Subject: "insecure",
			Text: fmt.Sprintf("passwords and rows may go over the network to %q unencrypted; use sslmode=verify-full in the dsn", open)}}
	case blind != "":
		return []purge.Finding{{Severity: purge.SeverityWarning, Subject: "dsn",
			Text: fmt.Sprintf("nobody looks at the certificate of %q: another server could take its place; use sslmode=verify-full", blind)}}
	}
	return nil
}

// aboutChildren looks at how those below a tenant are found.
func (s *Source) aboutChildren(ctx context.Context, conn *pgx.Conn, fields []pgconn.FieldDescription, role string) ([]purge.Finding, error) {
	if at, err := columnsOf(fields); err != nil || at[colParent] < 0 {
		return nil, nil //nolint:nilerr // that is a finding by itself
	}
	cost, err := s.costOfBelow(ctx, conn)
	if f, ok := wrongQuery(err, role); ok {
		return []purge.Finding{f}, nil
	}
	if err != nil || cost < muchCost {
		return nil, err
	}
	return []purge.Finding{{
		Severity: purge.SeverityWarning, Subject: "query",
		Text: fmt.Sprintf("to look for those below a tenant, before each purge, has a cost of %.0f by PostgreSQL's estimate: there seems to be no index on what parent is made of", cost),
	}}, nil
}

// wrongQuery tells what the server says of the query from an error of the way to it.
func wrongQuery(err error, role string) (purge.Finding, bool) {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || !isAnswer(err) {
		return purge.Finding{}, false
	}
	f := purge.Finding{Severity: purge.SeverityError, Subject: "query", Text: fmt.Sprintf("%s (SQLSTATE %s)", pg.Message, pg.Code)}
	if pg.Code == codeInsufficientPrivilege {
		f.Text = fmt.Sprintf("the role %s may not run it: %s", role, f.Text)
		if m := deniedTable.FindStringSubmatch(pg.Message); m != nil {
			f.Fix = fmt.Sprintf("GRANT SELECT ON %s TO %s;", pgx.Identifier{m[1]}.Sanitize(), pgx.Identifier{role}.Sanitize())
		}
	}
	return f, true
}

// deniedTable finds the table in what PostgreSQL says in English; in another
// language there is no advice.
var deniedTable = regexp.MustCompile(`^permission denied for (?:table|view|materialized view|foreign table) (.+)$`)

// aboutColumns looks at what the query yields.
func aboutColumns(fields []pgconn.FieldDescription) []purge.Finding {
	at, err := columnsOf(fields)
	switch {
	case err != nil:
		return []purge.Finding{{Severity: purge.SeverityError, Subject: "query", Text: err.Error()}}
	case at[colDisabledAt] < 0:
		return []purge.Finding{{
			Severity: purge.SeverityError, Subject: "query",
			Text: "it yields no disabled_at, without which no disabled tenant is taken over",
		}}
	case at[colDays] < 0 && at[colPurgeAt] < 0:
		return []purge.Finding{{
			Severity: purge.SeverityInfo, Subject: "query",
			Text: "it yields neither purge_after_days nor purge_at: every disabled tenant has the default grace period",
		}}
	}
	return nil
}

// aboutZones looks for times whose zone is a guess: what was written in local time, west
// of Greenwich, would be taken for earlier than it was (G1).
func aboutZones(fields []pgconn.FieldDescription) (found []purge.Finding) {
	types := map[uint32]string{pgtype.TimestampOID: "timestamp without time zone", pgtype.DateOID: "date"}
	for _, f := range fields {
		typ := types[f.DataTypeOID]
		if typ == "" || f.Name != columnNames()[colDisabledAt] && f.Name != columnNames()[colPurgeAt] {
			continue
		}
		cast := f.Name
		if f.DataTypeOID == pgtype.DateOID {
			cast += "::timestamp"
		}
		found = append(found, purge.Finding{
			Severity: purge.SeverityWarning, Subject: "query",
			Text: fmt.Sprintf("%s is a %s, and is taken for UTC: written in the time of a zone west of it, it would be too early; want a timestamptz", f.Name, typ),
			Fix:  fmt.Sprintf("%s AT TIME ZONE 'America/New_York' AS %s -- in the query, with the zone that it is written in", cast, f.Name),
		})
	}
	return found
}
