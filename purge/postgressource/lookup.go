package postgressource

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantpurge/purger/purge"
)

// TenantsByID implements [purge.BatchSource]. An id that the column's type cannot
// hold, such as a word in a bigint, is an answer about that one tenant, and not one
// that can be understood; the others are looked up all the same.
func (s *Source) TenantsByID(ctx context.Context, ids []string) (map[string]purge.SourceRow, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	found := make(map[string]purge.SourceRow, len(ids))
	for groups := [][]string{ids}; len(groups) > 0; { // those that are refused together are halved
		last := len(groups) - 1
		group := groups[last]
		groups = groups[:last]
		rows, err := s.lookUp(ctx, group)
		switch {
		case err == nil:
			maps.Copy(found, rows)
		case !unfit(err):
			return nil, failed("look up tenants", err)
		case len(group) == 1:
			found[group[0]] = purge.SourceRow{Tenant: purge.SourceTenant{ID: group[0]}, Err: failed("look it up", err)}
		default:
			groups = append(groups, group[len(group)/2:], group[:len(group)/2])
		}
	}
	return found, nil
}

// unfit reports whether the server refused a value: one of the wrong form, or out of
// the range of its type.
func unfit(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && slices.Contains([]string{"22P02", "22003", "22007", "22008"}, pg.Code)
}
