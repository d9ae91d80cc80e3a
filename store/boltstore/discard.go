package boltstore

import (
	"os"

	"github.com/tenantpurge/purger/store"
)

// Discard takes back a store that Open has made and into which nothing was
// written since, and its directory if nothing else is in it, so that what was
// refused leaves no store behind that looks as if it was meant. Any other store
// is left as it is. Close has to follow.
func (s *Store) Discard() error {
	return s.exclusive(func() error {
		if !s.made.file || s.head.Seq > 0 {
			return nil // whatever changes a tenant or a gate is in the audit trail
		}
		if err := isStill(s.path, s.held); err != nil {
			return store.Errorf(store.Unavailable, "discard the store: %w", err)
		}
		// The lock is still held: who waits for it learns that the file is gone.
		if err := os.Remove(s.path); err != nil {
			return store.Errorf(store.Unavailable, "discard the store: %w", err)
		}
		if s.made.dir {
			_ = os.Remove(s.opt.Dir) // unless something is in it
		}
		return nil
	})
}
