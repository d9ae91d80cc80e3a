package purge

import (
	"errors"
	"math"
	"time"

	"github.com/tenantpurge/purger/store"
)

// SyncSettings is what may be changed while a syncer runs. A zero field is not a
// default: begin with [DefaultSyncSettings].
type SyncSettings struct {
	// MaxChange is the share, 0 to 1, of the tenants that are kept, and Floor the
	// number at the least, of which a sync may find so many vanished, and give so
	// many a purge date or an earlier one. One that exceeds either is refused.
	MaxChange float64
	Floor     int64
	// Timeout bounds how long the source may take for a snapshot; what is read so far
	// is then of no use.
	Timeout time.Duration
	// Grace bounds the grace periods that the source may give.
	Grace store.Grace
	// Protected are the ids of tenants that are never disabled.
	Protected []string
}

// DefaultSyncSettings is 20 %, but at least 50 tenants, and an hour.
func DefaultSyncSettings() SyncSettings {
	return SyncSettings{MaxChange: 0.20, Floor: 50, Timeout: time.Hour, Grace: store.DefaultGrace()}
}

// Validate returns all that is wrong, joined, or nil. Each error is
// [store.Invalid] and has the configuration key in its field.
func (s SyncSettings) Validate() error {
	var errs []error
	if math.IsNaN(s.MaxChange) || s.MaxChange < 0 || s.MaxChange > 1 {
		errs = append(errs, store.Errorf(store.Invalid, "source.maxChange %v: want 0 to 1", s.MaxChange).At("source.maxChange"))
	}
	if s.Floor < 0 {
		errs = append(errs, store.Errorf(store.Invalid, "source.maxChangeFloor %d: want 0 or more", s.Floor).At("source.maxChangeFloor"))
	}
	if s.Timeout <= 0 {
		errs = append(errs, store.Errorf(store.Invalid, "source.syncTimeout %s: want more than 0s", s.Timeout).At("source.syncTimeout"))
	}
	if _, err := s.Grace.Check(0); err != nil {
		errs = append(errs, err)
	}
	for _, id := range s.Protected {
		if err := store.CheckID("tenants.protected", id); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// syncSettings is SyncSettings in the form in which decisions use it.
type syncSettings struct {
	SyncSettings
	protected map[string]struct{}
}

func (s *syncSettings) isProtected(id string) bool {
	_, ok := s.protected[id]
	return ok
}
