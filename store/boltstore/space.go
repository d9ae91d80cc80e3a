package boltstore

import (
	"fmt"
	"math"
	"syscall"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// bbolt never writes a page in place: whatever a transaction touches, also what
// it deletes from, is written anew before the old pages are free. After a commit
// that ran out of disk the outcome is unknown and the store has to be opened
// again, which would go on for as long as the disk is full. So a transaction is
// not begun unless this much room is sure to be there.
const (
	// leastRoom is for changes of people, and for what a pass notes at its end:
	// some pages each, of as many as share a transaction.
	leastRoom = 16 << 20
	// stepRoom is for a step of a purge or an import, which may touch a page for
	// each of thousands of ids. It is larger, so that a disk that fills up stops
	// purging while people can still reactivate.
	stepRoom = 64 << 20
	// tenantRoom is what a claim takes for each tenant, whose record it writes,
	// beside textRoom for each byte of its texts: leaves are split in the middle,
	// and some hold one record. Measured with up to 100,000 tenants it takes 320
	// bytes for one with 92 bytes of texts, and 2,080 for one with 672.
	tenantRoom = 128
	textRoom   = 3
	// receiptRoom is what a receipt takes for each byte of the ids on it, a
	// separator after each included. Of 36 bytes, one takes 42.
	receiptRoom = 2
)

// freeSpace returns the bytes that this process may still write to a directory's
// disk.
func freeSpace(dir string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("look for room on the disk of %s: %w", dir, err)
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil //nolint:unconvert // other systems have other types
}

// pageSizeOf returns the page size of a database. It reads the memory map.
func pageSizeOf(db *bolt.DB) int64 { return int64(db.Info().PageSize) }

// short returns what is missing when want bytes are to be written to db; nil for
// nothing. Free pages of the file are used before it grows. They count for half
// of want at most: a record of several pages may find no gap among them, and on
// a disk that copies on write they are no room at all.
func (s *Store) short(db *bolt.DB, want int64) *store.Space {
	return s.shortOf(s.own(db, want), want)
}

// own returns how much of want is there already, in free pages of the file.
func (s *Store) own(db *bolt.DB, want int64) int64 {
	return min(int64(db.Stats().FreePageN)*s.pageSize, want/2)
}

// shortOf is short when own bytes of the room are there already.
func (s *Store) shortOf(own, want int64) *store.Space {
	return missing(s.opt.Dir, s.free(), own, want)
}

// free returns the bytes that may still be written to the disk. One that cannot
// be asked is no obstacle: writing will tell.
func (s *Store) free() int64 {
	free, err := s.freeSpace(s.opt.Dir)
	if err != nil {
		s.log.Debug("the room on the disk is not known", zap.Error(err))
		return math.MaxInt64
	}
	return free
}

// missing returns what is missing when free bytes can be written to the disk of
// a directory, own of the room are there already, and want are needed.
func missing(dir string, free, own, want int64) *store.Space {
	if free >= want-own {
		return nil
	}
	return &store.Space{Dir: dir, Free: free + own, Want: want}
}

// room returns a [store.SpaceError] unless want bytes can be written to db.
func (s *Store) room(db *bolt.DB, want int64) error { return noRoom(s.short(db, want)) }

// stepRoom returns a [store.SpaceError] unless there is room for a step of a
// purge or an import that writes more bytes beyond what any step may.
func (w *wtx) stepRoom(more int64) error {
	if short := w.short(stepRoom); short != nil || more == 0 {
		return noRoom(short)
	}
	if short := w.short(stepRoom + more); short != nil {
		return &store.SpaceError{Space: *short, Own: true}
	}
	return nil
}

// short is that of the store, with one look at the disk for all that share the
// transaction.
func (w *wtx) short(want int64) *store.Space {
	if !w.asked {
		w.free, w.asked = w.s.free(), true
	}
	return missing(w.s.opt.Dir, w.free, w.s.own(w.tx.DB(), want), want)
}

// claimRoom returns what a claim writes beyond what any step may: the records of
// its tenants, and what it takes over from earlier claims.
func claimRoom(t *tree, nodes []node) int64 {
	var n int64
	for i := range nodes {
		r := nodes[i].record
		by := r.DisabledBy
		texts := len(r.ID) + len(r.ParentID) + len(r.Name) + len(r.Hostname) + len(by.ID) + len(by.Name) + len(by.Email)
		n += tenantRoom + textRoom*int64(texts)
		if r.Purge != nil {
			n += receiptRoom * t.goneBytes(nodes[i].ord)
		}
	}
	return n
}

// finishRoom returns what the last step of a claim writes beyond what any step
// may: the receipt names every tenant that went.
func finishRoom(t *tree, top uint32, nodes []node) int64 {
	n := t.goneBytes(top)
	for i := range nodes {
		n += int64(len(nodes[i].ID) + len(goneSeparator))
	}
	return receiptRoom * n
}

// roomFor returns what the data of resources takes, in pages that may be half
// empty.
func roomFor(data [][]byte) int64 {
	var n int64
	for _, d := range data {
		n += 2 * int64(len(d))
	}
	return n
}

// noRoom makes an error of what is missing.
func noRoom(short *store.Space) error {
	if short == nil {
		return nil
	}
	return &store.SpaceError{Space: *short}
}
