package boltstore

import (
	"encoding/binary"

	"github.com/tenantpurge/purger/store"
)

// totals are the counters of the whole store. They are kept in one record,
// written by every transaction that changes them, and in memory, so that
// [Store.Stats] reads no tenant.
type totals struct {
	nextTree  uint64 // number of the next tree
	fence     uint64 // the newest fencing token
	status    [numStatuses]int64
	blocked   [numBlocks]int64
	resources store.Counts
}

const (
	numStatuses = 5
	numBlocks   = 10
	// firstBlocks is how many reasons every schema knows. The others are behind
	// everything else, and only where one was ever given; see schemaSource. One that
	// came later makes that list longer; see schemaSourceDown.
	firstBlocks = 6
)

// blockCode numbers the reasons; -1 for an unknown one.
func blockCode(r store.BlockReason) int {
	for i, v := range store.BlockReasons() {
		if v == r {
			return i
		}
	}
	return -1
}

// blockSchema returns the oldest schema that knows a reason.
func blockSchema(r store.BlockReason) uint32 {
	switch {
	case r == store.BlockSourceDown:
		return schemaSourceDown
	case blockCode(r) >= firstBlocks:
		return schemaSource
	}
	return schemaFirst
}

// count adds n to what a record contributes.
func (t *totals) count(r *record, n int64) {
	t.status[statusCode(r.Status)] += n
	if r.Status == store.StatusDisabled && r.Block != nil {
		if i := blockCode(r.Block.Reason); i >= 0 {
			t.blocked[i] += n
		}
	}
}

// kept returns the number of tenants that no claim took.
func (t *totals) kept() int64 {
	return t.status[statusCode(store.StatusActive)] + t.status[statusCode(store.StatusDisabled)]
}

func (t *totals) encode() []byte {
	b := []byte{recordVersion}
	b = binary.AppendUvarint(b, t.nextTree)
	b = binary.AppendUvarint(b, t.fence)
	for _, n := range t.status {
		b = binary.AppendVarint(b, n)
	}
	for _, n := range t.blocked[:firstBlocks] {
		b = binary.AppendVarint(b, n)
	}
	for _, k := range store.Kinds() {
		b = binary.AppendVarint(b, t.resources.Of(k))
	}
	if [numBlocks - firstBlocks]int64(t.blocked[firstBlocks:]) == [numBlocks - firstBlocks]int64{} {
		return b
	}
	for _, n := range t.blocked[firstBlocks:] {
		b = binary.AppendVarint(b, n)
	}
	return b
}

func decodeTotals(b []byte) (totals, error) {
	var t totals
	d := decoder{b: b}
	if v := d.byte(); v != recordVersion && d.err == nil {
		return t, store.Errorf(store.Internal, "totals of version %d; this purger knows %d", v, recordVersion)
	}
	t.nextTree, t.fence = d.uvarint(), d.uvarint()
	for i := range t.status {
		t.status[i] = d.varint()
	}
	for i := range firstBlocks {
		t.blocked[i] = d.varint()
	}
	for _, k := range store.Kinds() {
		t.resources.Add(k, d.varint())
	}
	for i := firstBlocks; i < numBlocks && len(d.b) > 0; i++ {
		t.blocked[i] = d.varint()
	}
	if d.err != nil {
		return t, store.Errorf(store.Internal, "totals: %w", d.err)
	}
	return t, nil
}
