package ndjson

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// now is the present of every test.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

var importer = store.Actor{ID: "importer"}

// openStore opens an empty store, which is checked as a whole at the end.
func openStore(t testing.TB) *boltstore.Store {
	t.Helper()
	return openStoreIn(t, t.TempDir())
}

// openStoreIn opens the store in a directory.
func openStoreIn(t interface {
	Helper()
	Fatal(args ...any)
	Errorf(format string, args ...any)
	Cleanup(func())
}, dir string) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(context.Background(), boltstore.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Check(context.Background()); err != nil {
			t.Errorf("the store is not sound: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}

// importText imports lines into a store at now.
func importText(s ImportStore, text string, change ...func(*ImportOptions)) (Summary, error) {
	o := ImportOptions{Store: s, Input: strings.NewReader(text), Actor: importer, Now: now}
	for _, c := range change {
		c(&o)
	}
	return Import(context.Background(), o)
}

// mustImport imports lines that are in order.
func mustImport(t testing.TB, s ImportStore, text string, change ...func(*ImportOptions)) Summary {
	t.Helper()
	sum, err := importText(s, text, change...)
	if err != nil {
		t.Fatalf("import: %v", err)
	}
	return sum
}

// exportText exports a store.
func exportText(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, s ExportStore) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := Export(context.Background(), s, &b, ExportOptions{}); err != nil {
		t.Fatalf("export: %v", err)
	}
	return b.String()
}

// auditHead returns the number of audit entries: whether anything was written.
func auditHead(t testing.TB, s store.Store) uint64 {
	t.Helper()
	stats, err := s.Stats(context.Background(), now)
	if err != nil {
		t.Fatal(err)
	}
	return stats.AuditHead.Seq
}

// gateClosed reports whether the store keeps the import gate closed.
func gateClosed(t testing.TB, s ImportStore) bool {
	t.Helper()
	g, err := s.Gates(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return g.Import != nil
}

// tenantLine and resourceLine make lines in short form.
func activeLine(id, parent string) string {
	return fmt.Sprintf(`{"type":"tenant","id":%q,"parentId":%q,"status":"active"}`+"\n", id, parent)
}

func disabledLine(id, parent string, days int) string {
	return fmt.Sprintf(`{"type":"tenant","id":%q,"parentId":%q,"name":"N","status":"disabled","disabledAt":"2026-01-05T10:00:00Z","purgeAfterDays":%d}`+"\n", id, parent, days)
}

func userLine(tenant, id string) string {
	return fmt.Sprintf(`{"type":"user","tenantId":%q,"id":%q,"data":{"n":1}}`+"\n", tenant, id)
}

// wantErrors compares what an import was refused with.
func wantErrors(t testing.TB, err error, code store.Code, want ...string) {
	t.Helper()
	var bad *InvalidInput
	if !errors.As(err, &bad) {
		t.Fatalf("error is %v, want *InvalidInput", err)
	}
	if store.CodeOf(err) != code {
		t.Errorf("code is %q, want %q", store.CodeOf(err), code)
	}
	var got []string
	for _, e := range bad.Errors {
		got = append(got, e.Error())
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("errors are\n%s\nwant\n%s", g, w)
	}
}

// flaky is a store that fails.
type flaky struct {
	*boltstore.Store
	// before is called before, after is called after each call that writes;
	// its error is returned instead of the result.
	before, after func(call string) error
	calls         []string
}

var errInjected = errors.New("injected")

func (f *flaky) around(call string, do func() error) error {
	f.calls = append(f.calls, call)
	if f.before != nil {
		if err := f.before(call); err != nil {
			return err
		}
	}
	err := do()
	if err == nil && f.after != nil {
		err = f.after(call)
	}
	return err
}

func (f *flaky) BeginImport(ctx context.Context, imp store.Import, o store.Origin) error {
	return f.around("begin", func() error { return f.Store.BeginImport(ctx, imp, o) })
}

func (f *flaky) ImportBatch(ctx context.Context, b store.Batch, o store.Origin) (out store.Imported, err error) {
	err = f.around("batch", func() (err error) {
		out, err = f.Store.ImportBatch(ctx, b, o)
		return err
	})
	return out, err
}

func (f *flaky) EndImport(ctx context.Context, o store.Origin) error {
	return f.around("end", func() error { return f.Store.EndImport(ctx, o) })
}
