package ndjson

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

// position is where a tenant is in the order of writing.
type position struct {
	tree   uint32 // number of the topmost tenant above it
	depth  uint16
	number uint32
}

// outputKey orders what is written: tree by tree, in each the tenants from the
// root down, then the resources in the order in which a purge removes them and
// a store is best given them: by kind, deepest tenants first. kind is 0 for a
// tenant.
func outputKey(b []byte, at position, kind byte, id []byte) []byte {
	b = append(binary.BigEndian.AppendUint32(b, at.tree), kind)
	if kind != 0 {
		at.depth = ^at.depth
	}
	b = binary.BigEndian.AppendUint16(b, at.depth)
	return append(binary.BigEndian.AppendUint32(b, at.number), id...)
}

// outputIDAt is where the id begins in an outputKey.
const outputIDAt = 4 + 1 + 2 + 4

// addTenant lays a tenant aside for writing.
func (im *importing) addTenant(at position, line int64, encoded []byte) error {
	im.key = outputKey(im.key[:0], at, 0, nil)
	im.value = append(binary.AppendVarint(im.value[:0], line), encoded...)
	return im.output.add(im.key, im.value)
}

// addResource lays a resource aside for writing.
func (im *importing) addResource(at position, line int64, tenantID []byte, kind store.Kind, id, data []byte) error {
	im.key = outputKey(im.key[:0], at, kindRank(kind), id)
	b := binary.AppendVarint(im.value[:0], line)
	b = append(binary.AppendUvarint(b, uint64(len(tenantID))), tenantID...)
	im.value = append(b, data...)
	return im.output.add(im.key, im.value)
}

// write writes what was laid aside, between BeginImport and EndImport. With
// nothing to write it only ends an import that was interrupted before its end;
// an empty input does not even that, since it is more likely to be a mistake.
func (im *importing) write(ctx context.Context) error {
	gates, err := im.o.Store.Gates(ctx)
	if err != nil {
		return fmt.Errorf("read the gates: %w", err)
	}
	planned := im.sum.Tenants.New + im.sum.Resources.New
	if planned == 0 && (gates.Import == nil || im.rows == 0) || im.o.DryRun {
		im.sum.Complete = planned == 0 && gates.Import == nil
		return nil
	}
	digest, err := im.checksum()
	if err != nil {
		return err
	}
	if k := gates.Import; k != nil && k.Digest != digest && !im.o.Supersede {
		return store.Errorf(store.Conflict, "another import, begun %s, is not complete: run it again to complete it, or supersede it (--supersede)",
			store.FormatTime(k.Since.Time))
	}
	if planned > 0 {
		if err := im.writeAll(ctx, planned); err != nil {
			return fmt.Errorf("%w (the import is not complete: run it again to complete it)", err)
		}
	}
	if err := im.o.Store.EndImport(ctx, im.origin()); err != nil {
		return fmt.Errorf("end the import: %w (run it again to complete it)", err)
	}
	im.sum.Complete = true
	if im.o.OnConflict == OnConflictFail { // what changed in the store meanwhile
		return im.conflicts.err(store.Conflict)
	}
	return nil
}

// writeAll begins the import and writes every batch.
func (im *importing) writeAll(ctx context.Context, planned int64) error {
	digest, err := im.checksum()
	if err != nil {
		return err
	}
	// Their memory and their files are not needed any more.
	if err := errors.Join(im.tenants.close(), im.resources.close()); err != nil {
		return err
	}
	im.forest = nil
	rows, err := im.output.sorted()
	if err != nil {
		return err
	}
	im.meter.begin(StageWrite, planned)
	im.sum.Tenants.New, im.sum.Resources.New = 0, 0
	if err := im.o.Store.BeginImport(ctx, store.Import{Digest: digest}, im.origin()); err != nil {
		return fmt.Errorf("begin the import: %w", err)
	}
	var b batch
	for rows.next() {
		if err := b.add(rows.key, rows.value); err != nil {
			return err
		}
		if len(b.Tenants)+len(b.Resources) >= im.batch || b.bytes >= batchBytes {
			if err := im.writeBatch(ctx, &b); err != nil {
				return err
			}
		}
		if err := im.meter.tick(ctx); err != nil {
			return err
		}
	}
	if rows.err != nil {
		return rows.err
	}
	return im.writeBatch(ctx, &b)
}

// batch is what one transaction writes.
type batch struct {
	store.Batch
	tenantLines, resourceLines []int64
	bytes                      int
}

// add takes one record in the form of addTenant or addResource.
func (b *batch) add(key, value []byte) error {
	u := unpacker{b: value}
	line := u.varint()
	if key[4] == 0 {
		t, err := decodeTenant(u.b)
		if err != nil {
			return err
		}
		b.Tenants, b.tenantLines = append(b.Tenants, t), append(b.tenantLines, line)
		b.bytes += tenantSize(&t)
		return nil
	}
	r := store.Resource{TenantID: u.text(), Kind: store.Kinds()[key[4]-1], ID: string(key[outputIDAt:])}
	r.Data = bytes.Clone(u.b)
	b.Resources, b.resourceLines = append(b.Resources, r), append(b.resourceLines, line)
	b.bytes += resourceSize(&r)
	return u.err
}

// writeBatch writes what is in b and empties it. The store has the last word on
// what is new: it may have changed since it was asked.
func (im *importing) writeBatch(ctx context.Context, b *batch) error {
	if len(b.Tenants)+len(b.Resources) == 0 {
		return nil
	}
	out, err := im.o.Store.ImportBatch(ctx, b.Batch, im.origin())
	if err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	for i, o := range out.Tenants {
		im.sum.Tenants.count(o)
		if o == store.OutcomeConflict {
			im.conflictTenant(ctx, b.tenantLines[i], &b.Tenants[i])
		}
	}
	for i, o := range out.Resources {
		im.sum.Resources.count(o)
		if o == store.OutcomeConflict {
			im.conflictResource(b.resourceLines[i], &b.Resources[i])
		}
	}
	*b = batch{}
	return nil
}

// origin says who imports, now.
func (im *importing) origin() store.Origin {
	at := im.o.Now
	if at.IsZero() {
		at = time.Now()
	}
	return store.Origin{Actor: im.o.Actor, At: store.Trim(at)}
}

// tenantSize and resourceSize estimate what a record takes.
func tenantSize(t *store.Tenant) int {
	return 256 + len(t.ID) + len(t.ParentID) + len(t.Name) + len(t.Hostname)
}

func resourceSize(r *store.Resource) int {
	return 64 + len(r.TenantID) + len(r.ID) + len(r.Data)
}
