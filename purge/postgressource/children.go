package postgressource

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

var _ purge.ChildSource = (*Source)(nil)

// What is known of the column parent.
const (
	parentUnknown int32 = iota
	parentYielded
	parentMissing // no tenant has children
)

// noteParent takes note of the columns that the query yields. An answer that was not
// described tells nothing.
func (s *Source) noteParent(fields []pgconn.FieldDescription) {
	if len(fields) == 0 {
		return
	}
	for _, f := range fields {
		if f.Name == columnNames()[colParent] {
			s.parent.Store(parentYielded)
			return
		}
	}
	s.parent.Store(parentMissing)
}

// TellsChildren implements [purge.ChildSource].
func (s *Source) TellsChildren() bool { return true }

// Children implements [purge.ChildSource]. It is one query, and none where the last
// look-up said that the query yields no parent.
func (s *Source) Children(ctx context.Context, parents []string, yield func(purge.SourceRow) error) error {
	if s.parent.Load() == parentMissing {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	asked := make(map[string]bool, len(parents))
	for _, id := range parents {
		asked[id] = true
	}
	var stopped error // by yield
	err := s.conns.with(ctx, func(conn *pgx.Conn) error {
		if s.parent.Load() == parentUnknown {
			fields, err := s.ask(ctx, conn)
			if err != nil {
				return err
			}
			s.noteParent(fields)
		}
		if s.parent.Load() == parentMissing {
			return nil
		}
		rows, err := conn.Query(ctx, s.below(), textForm(), arrayText(parents))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() && stopped == nil {
			v := rows.RawValues()
			r := purge.SourceRow{Tenant: purge.SourceTenant{ID: string(v[0]), ParentID: string(v[1])}}
			if asked[r.Tenant.ParentID] { // or else a collation takes it for the same; nobody else does
				stopped = yield(r)
			}
		}
		rows.Close()
		return rows.Err()
	})
	if stopped != nil {
		return stopped
	}
	return failed("look up sub-tenants", err)
}

// below is the query for the tenants right below others. $1 is an array of the type
// that parent has: only then can an index be used. Together with the look-up of those
// others, as id = ANY OR parent = ANY, it would be one query that can use no index
// where the two columns are of two tables.
func (s *Source) below() string {
	return "SELECT tenants.id, tenants.parent FROM " + s.subquery() + " WHERE tenants.parent = ANY($1)"
}

// costOfBelow has PostgreSQL estimate what it costs to look for those below a tenant,
// in its units, and so refuse what it cannot compare.
func (s *Source) costOfBelow(ctx context.Context, conn *pgx.Conn) (float64, error) {
	var plans []struct {
		Plan struct {
			Cost float64 `json:"Total Cost"`
		}
	}
	var text []byte
	if err := conn.QueryRow(ctx, "EXPLAIN (FORMAT JSON) "+s.below(), "{}").Scan(&text); err != nil {
		return 0, err
	}
	if err := json.Unmarshal(text, &plans); err != nil || len(plans) != 1 {
		return 0, store.Errorf(store.Unavailable, "the plan of the query cannot be read")
	}
	return plans[0].Plan.Cost, nil
}
