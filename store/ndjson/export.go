package ndjson

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/tenantpurge/purger/store"
)

// ExportStore is what Export needs of a store. One that implements
// [store.Store] and [store.Directory] has it.
type ExportStore interface {
	Tenant(ctx context.Context, id string) (store.Tenant, error)
	Tenants(ctx context.Context, f store.Filter) ([]store.Tenant, error)
	List(ctx context.Context, tenantID string, kind store.Kind, after string, limit int) ([]store.Resource, error)
}

// ExportOptions says how to export. The zero value is useful.
type ExportOptions struct {
	// TempDir is where tenants are sorted; "" for the system's. The files have
	// no names.
	TempDir string
	// MemoryLimit is for sorting, in bytes; 0 is 16 MiB. Besides, 11 bytes are
	// taken for each tenant.
	MemoryLimit int64
	// Progress, unless nil, is called at most every 200 ms, by the goroutine
	// that called Export.
	Progress func(Progress)
}

// exportPage bounds how many resources, with their data, are in memory.
const exportPage = 200

// Export writes all tenants and their resources: trees in the order of the ids
// of their roots, in each tree every tenant after its parent, those of one
// depth in the order of their ids, and after each its resources by kind and id.
// What the store holds determines every byte.
//
// A tenant that is being purged is left out and counted as skipped, with all
// below it. The store may change meanwhile, since it is read in many short
// steps: each record is then as it was at some instant during the export, and
// tenants whose parents came or went are left out.
//
// In the summary, New counts what was written.
func Export(ctx context.Context, s ExportStore, w io.Writer, o ExportOptions) (Summary, error) {
	if o.MemoryLimit == 0 {
		o.MemoryLimit = 16 << 20
	}
	ex := &exporting{
		store: s, w: bufio.NewWriterSize(w, 64<<10), meter: meter{report: o.Progress},
		ids: newSorter(o.TempDir, o.MemoryLimit/4), parents: newSorter(o.TempDir, o.MemoryLimit/4),
		order: newSorter(o.TempDir, o.MemoryLimit/4),
	}
	err := ex.run(ctx)
	if err == nil {
		if err = ex.w.Flush(); err != nil {
			err = fmt.Errorf("write the export: %w", err)
		}
	}
	if cerr := errors.Join(ex.ids.close(), ex.parents.close(), ex.order.close()); cerr != nil {
		err = errors.Join(err, cerr)
	}
	ex.sum.Complete = err == nil
	return ex.sum, err
}

// exporting is one export.
type exporting struct {
	store ExportStore
	w     *bufio.Writer
	meter meter
	sum   Summary
	buf   []byte

	ids     *sorter // id
	parents *sorter // see refKey
	order   *sorter // outputKey -> id
	forest  *forest
}

// run writes everything.
func (ex *exporting) run(ctx context.Context) error {
	ex.meter.begin(StageExport, 0)
	n, err := ex.scan(ctx)
	if err != nil {
		return err
	}
	if err := ex.arrange(n); err != nil {
		return err
	}
	rows, err := ex.order.sorted()
	if err != nil {
		return err
	}
	for rows.next() {
		v := int32(binary.BigEndian.Uint32(rows.key[outputIDAt-4:]))
		above := ex.forest.parent[v]
		written := false
		if above == parentNone || above >= 0 && ex.forest.state[above] == stateKept {
			if written, err = ex.tenant(ctx, string(rows.value)); err != nil {
				return err
			}
		}
		ex.forest.state[v] = stateLost
		if written {
			ex.forest.state[v] = stateKept
			continue
		}
		ex.sum.Tenants.Skipped++
	}
	return rows.err
}

// scan reads which tenants there are.
func (ex *exporting) scan(ctx context.Context) (n int, err error) {
	var f store.Filter
	var key []byte
	for {
		page, err := ex.store.Tenants(ctx, f)
		if err != nil {
			return 0, fmt.Errorf("list tenants: %w", err)
		}
		if len(page) == 0 {
			return n, nil
		}
		for i := range page {
			t := &page[i]
			if err := ex.ids.add([]byte(t.ID), nil); err != nil {
				return 0, err
			}
			if t.ParentID != "" {
				key = refKey(key[:0], t.ParentID, n)
				if err := ex.parents.add(key, nil); err != nil {
					return 0, err
				}
			}
			n++
		}
		f.After = page[len(page)-1].ID
		if err := ex.meter.look(ctx); err != nil {
			return 0, err
		}
	}
}

// arrange finds the order of the n tenants.
func (ex *exporting) arrange(n int) error {
	ex.forest = newForest(n)
	refs, err := ex.parents.sorted()
	if err != nil {
		return err
	}
	ids, err := ex.ids.sorted()
	if err != nil {
		return err
	}
	err = ex.forest.link(refs, func() ([]byte, error) {
		if !ids.next() {
			return nil, ids.err
		}
		return ids.key, nil
	})
	if err != nil {
		return err
	}
	ex.forest.resolve(0)
	if ids, err = ex.ids.sorted(); err != nil {
		return err
	}
	var key []byte
	for v := uint32(0); ids.next(); v++ {
		key = outputKey(key[:0], position{uint32(ex.forest.root[v]), ex.forest.depth[v], v}, 0, nil)
		if err := ex.order.add(key, ids.key); err != nil {
			return err
		}
	}
	return errors.Join(ids.err, ex.ids.close(), ex.parents.close())
}

// tenant writes one tenant and its resources, unless it is being purged or
// gone. It reads the record again: minutes may have passed since the scan.
func (ex *exporting) tenant(ctx context.Context, id string) (written bool, err error) {
	t, err := ex.store.Tenant(ctx, id)
	if gone(err) || err == nil && t.Status.Irrevocable() {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read tenant %q: %w", id, err)
	}
	ex.buf = appendTenantLine(ex.buf[:0], &t)
	if err := ex.line(ctx); err != nil {
		return false, err
	}
	ex.sum.Tenants.New++
	for _, k := range store.Kinds() {
		if err := ex.resources(ctx, id, k); err != nil {
			return false, err
		}
	}
	return true, nil
}

// resources writes those of one tenant and kind.
func (ex *exporting) resources(ctx context.Context, tenantID string, k store.Kind) error {
	after := ""
	for {
		page, err := ex.store.List(ctx, tenantID, k, after, exportPage)
		if gone(err) || err == nil && len(page) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list resources of tenant %q: %w", tenantID, err)
		}
		for i := range page {
			if ex.buf, err = appendResourceLine(ex.buf[:0], &page[i]); err != nil {
				return err
			}
			if err := ex.line(ctx); err != nil {
				return err
			}
			ex.sum.Resources.New++
		}
		if len(page) < exportPage {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

// line writes the line in buf.
func (ex *exporting) line(ctx context.Context) error {
	if _, err := ex.w.Write(ex.buf); err != nil {
		return fmt.Errorf("write the export: %w", err)
	}
	ex.sum.Lines++
	return ex.meter.tick(ctx)
}

// gone reports whether a tenant is not there, or not any more.
func gone(err error) bool {
	c := store.CodeOf(err)
	return c == store.Gone || c == store.NotFound
}
