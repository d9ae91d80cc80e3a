package ndjson

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tenantpurge/purger/store"
)

// compareResources finds the tenant of every resource, refuses ids that are
// there twice, asks the store about those of tenants that it keeps, and lays
// aside the new ones. Both are sorted by tenant, so that one pass over each
// does it.
func (im *importing) compareResources(ctx context.Context) error {
	j, err := im.joinTenants()
	if err != nil {
		return err
	}
	rows, err := im.resources.sorted()
	if err != nil {
		return err
	}
	var (
		b         resourceBatch
		last      []byte // the key before this one, without its line
		firstLine int64
	)
	for rows.next() {
		if err := im.meter.tick(ctx); err != nil {
			return err
		}
		tenantID, kind, id, line := splitResourceKey(rows.key)
		key := rows.key[:len(rows.key)-8]
		if bytes.Equal(key, last) {
			im.refuse(line, string(id), store.Errorf(store.Invalid, "the %s of tenant %q is on line %d already", kind, tenantID, firstLine).At("id"))
			continue
		}
		last, firstLine = append(last[:0], key...), line
		im.hash(key)
		im.hash(rows.value)

		at, st, err := j.find(tenantID)
		if err != nil {
			return err
		}
		switch st {
		case stateNew:
			err = im.planResource(at, line, tenantID, kind, id, rows.value)
		case statePurged:
			im.sum.Resources.Skipped++
		case stateKept, stateConflict, stateUnseen:
			b.add(at, line, store.Resource{TenantID: string(tenantID), Kind: kind, ID: string(id), Data: bytes.Clone(rows.value)})
			if b.full() {
				err = im.compareResourceBatch(ctx, &b)
			}
		}
		if err != nil {
			return err
		}
	}
	if rows.err != nil {
		return rows.err
	}
	return im.compareResourceBatch(ctx, &b)
}

// tenantJoin finds the tenants of the input for ids that come in order.
type tenantJoin struct {
	pass    *tenantPass
	more    bool
	forest  *forest
	foreign []byte // the last id that is not in the input
	extra   uint32 // tells those apart
}

// joinTenants begins a join.
func (im *importing) joinTenants() (*tenantJoin, error) {
	pass, err := im.eachTenant()
	if err != nil {
		return nil, err
	}
	return &tenantJoin{pass: pass, more: pass.next(), forest: im.forest}, pass.err
}

// find returns the position and the state of a tenant, stateUnseen for one that
// is not in the input: each of those is then written by itself.
func (j *tenantJoin) find(id []byte) (position, state, error) {
	for j.more && bytes.Compare(j.pass.id, id) < 0 {
		if j.more = j.pass.next(); j.pass.err != nil {
			return position{}, 0, j.pass.err
		}
	}
	if j.more && bytes.Equal(j.pass.id, id) {
		v := j.pass.number
		return position{uint32(j.forest.root[v]), j.forest.depth[v], uint32(v)}, j.forest.state[v], nil
	}
	if !bytes.Equal(j.foreign, id) {
		j.foreign = append(j.foreign[:0], id...)
		j.extra++
	}
	n := uint32(len(j.forest.state)) + j.extra
	return position{tree: n, number: n}, stateUnseen, nil
}

// resourceBatch is a batch of resources with their places.
type resourceBatch struct {
	resources []store.Resource
	places    []position
	lines     []int64
	bytes     int
}

func (b *resourceBatch) add(at position, line int64, r store.Resource) {
	b.resources, b.places, b.lines = append(b.resources, r), append(b.places, at), append(b.lines, line)
	b.bytes += resourceSize(&r)
}

func (b *resourceBatch) full() bool {
	return len(b.resources) >= batchRecords || b.bytes >= batchBytes
}

// compareResourceBatch compares what is in b and empties it.
func (im *importing) compareResourceBatch(ctx context.Context, b *resourceBatch) error {
	if len(b.resources) == 0 {
		return nil
	}
	out, err := im.o.Store.Compare(ctx, store.Batch{Resources: b.resources})
	if err != nil {
		return fmt.Errorf("compare with the store: %w", err)
	}
	for i := range b.resources {
		r, line := &b.resources[i], b.lines[i]
		switch o := out.Resources[i]; o {
		case store.OutcomeNew:
			if err := im.planResource(b.places[i], line, []byte(r.TenantID), r.Kind, []byte(r.ID), r.Data); err != nil {
				return err
			}
		case store.OutcomeUnknown:
			im.refuse(line, r.ID, store.Errorf(store.Invalid, "tenantId: tenant %q is neither in the input nor in the store", r.TenantID).At("tenantId"))
		case store.OutcomeConflict:
			im.conflictResource(line, r)
			fallthrough
		default:
			im.sum.Resources.count(o)
		}
	}
	*b = resourceBatch{}
	return nil
}

// conflictResource keeps the conflict of a resource.
func (im *importing) conflictResource(line int64, r *store.Resource) {
	im.conflict(line, r.ID, "data", "data differs from that of the %s of tenant %q that is kept", r.Kind, r.TenantID)
}

// planResource counts a new resource and lays it aside for writing.
func (im *importing) planResource(at position, line int64, tenantID []byte, kind store.Kind, id, data []byte) error {
	im.sum.Resources.New++
	if !im.willWrite() {
		return nil
	}
	return im.addResource(at, line, tenantID, kind, id, data)
}
