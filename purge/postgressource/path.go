package postgressource

import (
	"context"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/store"
)

// pathOption finds a search_path among the options of a DSN, which are those of the
// command postgres.
var pathOption = regexp.MustCompile(`(?:^|\s)(?:-c\s*|--)search[_-]path=((?:\\.|[^\s\\])*)`)

// searchPath returns the search_path of a DSN, "" without.
func searchPath(params map[string]string) string {
	if found := pathOption.FindAllStringSubmatch(params["options"], -1); params["search_path"] == "" && found != nil {
		return strings.NewReplacer(`\\`, `\`, `\`, "").Replace(found[len(found)-1][1])
	}
	return params["search_path"]
}

// inPath refuses a connection that is not in the search_path of the DSN, which a
// pooler may drop: the query would find the tenants of another schema.
func inPath(ctx context.Context, conn *pgx.Conn, want string) error {
	if want == "" {
		return nil
	}
	results, err := conn.PgConn().Exec(ctx, "SELECT pg_catalog.current_setting('search_path')").ReadAll()
	if err != nil {
		return failed("look at the search_path", err)
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || string(results[0].Rows[0][0]) != want {
		return store.Errorf(store.Precondition, "the search_path of the dsn is not in force: a pooler drops it; leave it out, and name the schema in the query")
	}
	return nil
}
