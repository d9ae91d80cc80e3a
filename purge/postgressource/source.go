package postgressource

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// Options are hooks. The zero value has none.
type Options struct {
	// Logger is told why the channel is not listened to; nil is none.
	Logger *zap.Logger
	// Connect replaces how connections are made; for tests.
	Connect func(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error)
}

// Source reads tenants from PostgreSQL. It implements [purge.BatchSource],
// [purge.ChildSource], [purge.Checker] and [purge.Doctor], and, with a channel, is
// watched with [Source.Watch]. It is safe for concurrent use.
type Source struct {
	cfg     Config
	conn    *pgx.ConnConfig
	connect func(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error)
	conns   *conns
	log     *zap.Logger
	// parent is what the last look-up told of the column parent.
	parent atomic.Int32
}

// New returns a source. It connects to nothing. Errors: Invalid, which names the
// field as the configuration does.
func New(cfg Config, opt Options) (*Source, error) {
	cfg = cfg.withDefaults()
	cc, err := cfg.parse()
	if err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, conn: cc, connect: opt.Connect, log: opt.Logger}
	if s.connect == nil {
		s.connect = pgx.ConnectConfig
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	s.conns = newConns(cfg.Conns, s.dial, rule{timeout: cfg.Timeout, standby: cfg.Standby == StandbyAllowed})
	return s, nil
}

// Name implements [purge.Source].
func (s *Source) Name() string { return s.cfg.Name }

// Close closes the connections that are kept, and those that are in use when they come
// back. A look-up that follows is Unavailable.
func (s *Source) Close() error {
	s.conns.close()
	return nil
}

// dial makes a connection.
func (s *Source) dial(ctx context.Context) (*pgx.Conn, error) {
	conn, err := s.connect(ctx, s.conn.Copy())
	if err != nil {
		return nil, failed("connect to PostgreSQL", err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	if err := inPath(ctx, conn, searchPath(s.conn.RuntimeParams)); err != nil {
		hangUp(conn)
		return nil, err
	}
	return conn, nil
}

// subquery returns the operator's query as a table. The line breaks end a comment
// that it may end with.
func (s *Source) subquery() string { return "(\n" + s.cfg.Query + "\n) AS tenants" }

// textForm asks for all values in text form, whatever their types.
func textForm() pgx.QueryResultFormats { return pgx.QueryResultFormats{pgx.TextFormatCode} }

// Tenants implements [purge.Source].
func (s *Source) Tenants(ctx context.Context, yield func(purge.SourceRow) error) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer hangUp(conn)
	if err := s.begin(ctx, conn); err != nil {
		return err
	}
	for {
		n, err := s.fetch(ctx, conn, yield)
		if err != nil {
			return err
		}
		if n < s.cfg.Fetch {
			break
		}
	}
	// What was read counts only when the server says that the snapshot held.
	return s.statement(ctx, "end a snapshot", func(ctx context.Context) error {
		tag, err := conn.Exec(ctx, "COMMIT")
		if err == nil && tag.String() != "COMMIT" {
			err = store.Errorf(store.Unavailable, "the server answered %s", tag)
		}
		return err
	})
}

// begin begins a snapshot and declares its cursor.
func (s *Source) begin(ctx context.Context, conn *pgx.Conn) error {
	err := s.statement(ctx, "begin a snapshot", func(ctx context.Context) error {
		r := rule{timeout: s.cfg.SnapshotTimeout, standby: s.conns.rule.standby}
		return r.begin(ctx, conn, "REPEATABLE READ")
	})
	if err != nil {
		return err
	}
	return s.statement(ctx, "query", func(ctx context.Context) error {
		_, err := conn.Exec(ctx, "DECLARE purger_tenants NO SCROLL CURSOR FOR SELECT * FROM "+s.subquery())
		return err
	})
}

// statement runs a statement of a snapshot. Its time-out is the server's business,
// and ours where the server says nothing at all.
func (s *Source) statement(ctx context.Context, what string, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.SnapshotTimeout+s.cfg.Timeout)
	defer cancel()
	return failed(what, fn(ctx))
}

// fetch reads the next rows of a snapshot, and returns how many there were.
func (s *Source) fetch(ctx context.Context, conn *pgx.Conn, yield func(purge.SourceRow) error) (n int, err error) {
	var stopped error // by yield
	err = s.statement(ctx, "read a snapshot", func(ctx context.Context) error {
		rows, err := conn.Query(ctx, fmt.Sprintf("FETCH FORWARD %d FROM purger_tenants", s.cfg.Fetch), textForm())
		if err != nil {
			return err
		}
		n, err = each(rows, func(r purge.SourceRow) error {
			stopped = yield(r)
			return stopped
		})
		return err
	})
	if stopped != nil {
		err = stopped
	}
	return n, err
}

// each yields the rows of an answer.
func each(rows pgx.Rows, yield func(purge.SourceRow) error) (int, error) {
	defer rows.Close()
	var at columns
	n := 0
	for ; rows.Next(); n++ {
		if n == 0 {
			var err error
			if at, err = columnsOf(rows.FieldDescriptions()); err != nil {
				return n, err
			}
		}
		if err := yield(at.row(rows.RawValues())); err != nil {
			return n, err
		}
	}
	return n, rows.Err()
}

// Tenant implements [purge.Source].
func (s *Source) Tenant(ctx context.Context, id string) (purge.SourceTenant, error) {
	rows, err := s.TenantsByID(ctx, []string{id})
	if err != nil {
		return purge.SourceTenant{}, err
	}
	row, ok := rows[id]
	switch {
	case !ok:
		return purge.SourceTenant{}, store.Errorf(store.NotFound, "the source does not know tenant %q", id)
	case row.Err != nil:
		return purge.SourceTenant{}, store.Errorf(store.Invalid, "tenant %q: %w", id, row.Err)
	}
	return row.Tenant, nil
}

// lookUp asks about tenants in one query.
func (s *Source) lookUp(ctx context.Context, ids []string) (map[string]purge.SourceRow, error) {
	asked := make(map[string]bool, len(ids))
	for _, id := range ids {
		asked[id] = true
	}
	var found map[string]purge.SourceRow
	err := s.conns.with(ctx, func(conn *pgx.Conn) error {
		found = make(map[string]purge.SourceRow, len(ids))
		// An array of the type that id has: only then can an index be used.
		rows, err := conn.Query(ctx, "SELECT * FROM "+s.subquery()+" WHERE tenants.id = ANY($1)", textForm(), arrayText(ids))
		if err != nil {
			return err
		}
		s.noteParent(rows.FieldDescriptions())
		_, err = each(rows, func(r purge.SourceRow) error {
			id := r.Tenant.ID
			if !asked[id] { // a collation takes it for the same; nobody else does
				return nil
			}
			if _, twice := found[id]; twice {
				r = purge.SourceRow{Tenant: purge.SourceTenant{ID: id}, Err: errors.New("more than one row")}
			}
			found[id] = r
			return nil
		})
		return err
	})
	return found, err
}

// Check reaches the server and looks at what the query yields, which it reads
// nothing of. It implements [purge.Checker]. Errors: Precondition for columns that are
// not those of the package, for a standby, and for a search_path that is not in force;
// Unavailable for all else.
func (s *Source) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return failed("check the query", s.conns.with(ctx, func(conn *pgx.Conn) error {
		fields, err := s.ask(ctx, conn)
		if err != nil {
			return err
		}
		at, err := columnsOf(fields)
		if err == nil && at[colParent] >= 0 {
			_, err = s.costOfBelow(ctx, conn)
		}
		return err
	}))
}

// ask runs the query for no tenant and returns the columns that it yields.
func (s *Source) ask(ctx context.Context, conn *pgx.Conn) ([]pgconn.FieldDescription, error) {
	rows, err := conn.Query(ctx, "SELECT * FROM "+s.subquery()+" WHERE tenants.id = ANY($1)", textForm(), "{}")
	if err != nil {
		return nil, err
	}
	fields := append([]pgconn.FieldDescription(nil), rows.FieldDescriptions()...)
	rows.Close()
	return fields, rows.Err()
}

// arrayText returns an array in PostgreSQL's text form.
func arrayText(ids []string) string {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	var b strings.Builder
	b.WriteByte('{')
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + quote.Replace(id) + `"`)
	}
	b.WriteByte('}')
	return b.String()
}
