package postgressource

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// Options are hooks. The zero value has none.
type Options struct {
	// Logger may be nil.
	Logger *zap.Logger
	// Connect replaces how connections are made; for tests.
	Connect func(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error)
}

// Source reads tenants from PostgreSQL. It implements [purge.BatchSource],
// [purge.Checker] and [purge.Doctor], and, with a channel, is watched with [Source.Watch]. It is
// safe for concurrent use.
type Source struct {
	cfg     Config
	conn    *pgx.ConnConfig
	connect func(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error)
	conns   *conns
	log     *zap.Logger
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
	s.conns = newConns(cfg.Conns, s.dial)
	return s, nil
}

// Name implements [purge.Source].
func (s *Source) Name() string { return s.cfg.Name }

// Close closes the connections that are kept.
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
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return failed("begin a snapshot", err)
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", s.cfg.SnapshotTimeout.Milliseconds())); err != nil {
		return failed("begin a snapshot", err)
	}
	if _, err := tx.Exec(ctx, "DECLARE purger_tenants NO SCROLL CURSOR FOR SELECT * FROM "+s.subquery()); err != nil {
		return failed("query", err)
	}
	for {
		n, err := s.fetch(ctx, tx, yield)
		if err != nil {
			return err
		}
		if n < s.cfg.Fetch {
			break
		}
	}
	// What was read counts only when the server says that the snapshot held.
	return failed("end a snapshot", tx.Commit(ctx))
}

// fetch reads the next rows of a snapshot, and returns how many there were.
func (s *Source) fetch(ctx context.Context, tx pgx.Tx, yield func(purge.SourceRow) error) (int, error) {
	rows, err := tx.Query(ctx, fmt.Sprintf("FETCH FORWARD %d FROM purger_tenants", s.cfg.Fetch), textForm())
	if err != nil {
		return 0, failed("read a snapshot", err)
	}
	return each(rows, yield)
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
	return n, failed("read tenants", rows.Err())
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

// TenantsByID implements [purge.BatchSource].
func (s *Source) TenantsByID(ctx context.Context, ids []string) (map[string]purge.SourceRow, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
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
	if err != nil {
		return nil, failed("look up tenants", err)
	}
	return found, nil
}

// Check reaches the server and looks at what the query yields, which it reads
// nothing of. It implements [purge.Checker].
func (s *Source) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return failed("check the query", s.conns.with(ctx, func(conn *pgx.Conn) error {
		fields, err := s.ask(ctx, conn)
		if err == nil {
			_, err = columnsOf(fields)
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
