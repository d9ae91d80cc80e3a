package boltstore

import (
	"encoding/binary"
	"time"

	"github.com/tenantpurge/purger/store"
)

// format marks a file as ours; schema is the newest version of the layout. A
// file has the oldest that tells all that is in it, so that an earlier purger
// opens it as long as it understands it, and refuses to afterwards.
const (
	format             = "purger store"
	schema             = schemaLowerBounds
	schemaFirst        = 1
	schemaGoneTogether = 2 // keyGone with more than one id
	schemaSource       = 3 // blocks that come from the source of tenants
	schemaReactivated  = 4 // tenants that a person reactivated, with a source; see keyReactivated
	schemaSourceDown   = 5 // a block more that comes from the source
	schemaLowerBounds  = 6 // receipts with members that their digest is of
)

// The buckets at the top of the file.
var (
	bucketMeta     = []byte("meta")
	bucketIDs      = []byte("ids")
	bucketTrees    = []byte("trees")
	bucketDue      = []byte("due")
	bucketBlocked  = []byte("blocked")
	bucketPurging  = []byte("purging")
	bucketAudit    = []byte("audit")
	bucketReceipts = []byte("receipts")
	bucketWindow   = []byte("window")
	bucketRuns     = []byte("runs")

	bucketApprovals  = []byte("approvals")
	bucketReplays    = []byte("replays")
	bucketReplayEnds = []byte("replayends")
	bucketSource     = []byte("source")

	bucketReplayTenants = []byte("replaytenants") // id, 0, key of bucket replays
	bucketReplayOwners  = []byte("replayowners")  // see replayTotals

	bucketGoneHosts = []byte("gonehosts") // see hostDigest
)

// topBuckets returns the buckets at the top that every file has; see
// [laterBuckets], too.
func topBuckets() [][]byte {
	return [][]byte{
		bucketMeta, bucketIDs, bucketTrees, bucketDue, bucketBlocked, bucketPurging,
		bucketAudit, bucketReceipts, bucketWindow, bucketRuns,
	}
}

// The keys of bucket meta.
var (
	keyFormat = []byte("format") // the constant format
	keySchema = []byte("schema") // uint32
	keyTotals = []byte("totals") // see totals.go
	keyGates  = []byte("gates")  // JSON of store.Gates
	keyErased = []byte("erased") // uint64 ms: the first deletion since the last compaction

	keyReplays = []byte("replays") // see replayTotals
	keyHostKey = []byte("hostkey") // see hostDigest

	// keyReactivated is there once a tenant has had a ReactivatedAt. An earlier
	// purger does not know of that, which is all the same to it without a source.
	keyReactivated = []byte("reactivated")
)

// place is where a live tenant's record is.
type place struct {
	tree uint64
	ord  uint32 // within the tree; the root has 0
}

// isRoot reports whether the tenant is the root of its tree.
func (p place) isRoot() bool { return p.ord == 0 }

// Values of bucket ids begin with one of these.
const (
	idLive      = 1 // then the place
	idTombstone = 2 // then the tombstone
)

// appendPlace encodes p in 12 bytes.
func appendPlace(b []byte, p place) []byte {
	b = binary.BigEndian.AppendUint64(b, p.tree)
	return binary.BigEndian.AppendUint32(b, p.ord)
}

// readPlace decodes the first 12 bytes.
func readPlace(b []byte) (place, bool) {
	if len(b) < 12 {
		return place{}, false
	}
	return place{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])}, true
}

// indexKey is 8 bytes of big-endian Unix milliseconds, then the id: the order
// of bytes is the order of dates. A zero or negative date comes first.
func indexKey(at time.Time, id string) []byte {
	b := make([]byte, 0, 8+len(id))
	return append(binary.BigEndian.AppendUint64(b, millis(at)), id...)
}

// splitIndexKey is the inverse of indexKey.
func splitIndexKey(k []byte) (store.Cursor, bool) {
	if len(k) < 9 {
		return store.Cursor{}, false
	}
	return store.Cursor{At: fromMillis(binary.BigEndian.Uint64(k)), ID: string(k[8:])}, true
}

// millis returns Unix milliseconds, 0 for a zero or negative time.
func millis(t time.Time) uint64 {
	if t.IsZero() || t.UnixMilli() < 0 {
		return 0
	}
	return uint64(t.UnixMilli())
}

// fromMillis is the inverse of millis.
func fromMillis(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// seqKey encodes a sequence number so that keys sort by it.
func seqKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
