package postgrestarget

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// execMode is the key of a DSN with which the operator says how statements are run.
const execMode = "default_query_exec_mode"

// pooler knows whether something stands before the server that hands its
// connections to others, such as PgBouncer. Then no statement is prepared: what
// one connection of the server has prepared, the next one lacks. It is safe for
// concurrent use.
type pooler struct {
	told  bool // the DSN says how statements are run, and nothing is found out
	found atomic.Bool
}

// prepares is the mark of a connection that prepares statements.
const prepares = "purger prepares statements"

// toldExecMode reports whether a DSN that pgx takes has the key. pgx itself does
// not tell its own default from the same word of the operator.
func toldExecMode(dsn string) bool {
	cfg, err := pgconn.ParseConfig(dsn)
	return err == nil && cfg.RuntimeParams[execMode] != ""
}

// attach has each new connection looked at, and gives up those that prepare
// statements once there is a pooler. The hooks that c has go on.
func (p *pooler) attach(c *pgxpool.Config, log *zap.Logger) {
	before, after, prepare := c.BeforeConnect, c.AfterConnect, c.PrepareConn
	c.BeforeConnect = func(ctx context.Context, cc *pgx.ConnConfig) error {
		if p.found.Load() {
			cc.DefaultQueryExecMode = pgx.QueryExecModeExec
		}
		if before == nil {
			return nil
		}
		return before(ctx, cc)
	}
	c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := p.look(ctx, conn, log); err != nil || after == nil {
			return err
		}
		return after(ctx, conn)
	}
	c.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		if p.found.Load() && conn.PgConn().CustomData()[prepares] != nil {
			return false, nil // the pool takes another one, which does not
		}
		if prepare == nil {
			return true, nil
		}
		return prepare(ctx, conn)
	}
}

// look finds out whether the process that answers is another than the one that
// introduced itself when the connection was made: a pooler gives its clients keys of
// its own making, or none. It cannot tell whether transactions or sessions are
// pooled, and need not. It refuses a connection without the search_path of the DSN,
// which a pooler may drop: other tables would go by the same names.
func (p *pooler) look(ctx context.Context, conn *pgx.Conn, log *zap.Logger) error {
	cfg := conn.Config()
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	// A statement without parameters is not prepared.
	results, err := conn.PgConn().Exec(ctx, "SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('search_path')").ReadAll()
	if err != nil {
		return err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return fmt.Errorf("pg_backend_pid: %d answers", len(results))
	}
	pid, path := string(results[0].Rows[0][0]), string(results[0].Rows[0][1])
	if want := searchPath(cfg.RuntimeParams); want != "" && want != path {
		return store.Errorf(store.Precondition, "the search_path of the DSN is not in force: a pooler drops it; leave it out, and name each table with its schema")
	}
	if p.told || cfg.DefaultQueryExecMode == pgx.QueryExecModeExec {
		return nil
	}
	conn.PgConn().CustomData()[prepares] = true
	if pid != strconv.FormatUint(uint64(conn.PgConn().PID()), 10) && p.found.CompareAndSwap(false, true) {
		log.Info("a pooler stands before the database: no statement is prepared")
	}
	return nil
}

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

// lost notes that prepared statements were lost, which nothing but a pooler does
// that passes on what the server says of itself.
func (p *pooler) lost() {
	if !p.told {
		p.found.Store(true)
	}
}
