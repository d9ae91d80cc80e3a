package config

import (
	"slices"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// PurgeSettings returns what the engine takes of the configuration. Those of a
// valid configuration are valid.
func (c Config) PurgeSettings() purge.Settings {
	var age time.Duration
	if c.Source != nil {
		age = c.Source.Age()
	}
	return purge.Settings{
		SourceMaxAge:   age,
		Concurrency:    c.Purge.Concurrency,
		Batch:          c.Limits.Batch,
		Attempts:       c.Purge.Attempts,
		BackoffInitial: c.Purge.Backoff.Initial,
		BackoffMax:     c.Purge.Backoff.Max,
		CallTimeout:    c.Purge.CallTimeout,
		Lease:          c.Purge.Lease,
		PerPass:        c.Limits.PerPass,
		Limits: store.Limits{
			PerDay:      c.Limits.PerDay,
			PerDayShare: c.Limits.PerDayShare,
			ShareFloor:  c.Limits.PerDayShareFloor,
		},
		Grace:           c.Tenants.GracePeriod,
		Protected:       slices.Clone(c.Tenants.Protected),
		ImmediateDelete: purge.DeletePolicy(c.API.ImmediateDelete),
	}
}
