package purge

import (
	"errors"
	"math"
	"time"

	"github.com/tenantpurge/purger/store"
)

// DeletePolicy says which tenants may be deleted at once, without waiting for
// their date.
type DeletePolicy string

// The policies.
const (
	DeleteNever    DeletePolicy = "never"
	DeleteDisabled DeletePolicy = "disabled" // those that are deactivated
	DeleteAny      DeletePolicy = "any"      // also active ones, which are deactivated first
)

// DeletePolicies returns every policy.
func DeletePolicies() []DeletePolicy {
	return []DeletePolicy{DeleteNever, DeleteDisabled, DeleteAny}
}

// Settings is what may be changed while the engine runs. A zero field is not a
// default: begin with [DefaultSettings].
type Settings struct {
	// Concurrency is how many tenants are purged at a time, 1 to 1,024. A pass
	// keeps the one that it began with. Unless it is 1, four times as many are
	// under way where the store and every target, if any, take tenants together;
	// see [GroupTarget].
	//
	// While others wait, a tenant gives up its place after a turn of ten seconds,
	// between two calls, and goes on when it has one again: after those that begin,
	// and after those that wait longer. Up to 16 times as many as there are places
	// wait so in the midst of their purge, each with its claim and its lease; beyond
	// that nobody begins before they have had their turn.
	Concurrency int
	// Batch is the largest number of resources that one call of a target may
	// remove, 1 to 1,000,000.
	Batch int
	// Attempts is how often a purge is tried before it is failed, 1 to 1,000.
	Attempts int
	// BackoffInitial is the wait after the first failed attempt. It doubles with
	// each further one up to BackoffMax; to every wait up to a quarter is added
	// or taken off by chance, so that tenants that failed together part.
	BackoffInitial, BackoffMax time.Duration
	// CallTimeout bounds one question to the source, and one call of a target that
	// is no [GuardedTarget], which has that of its policy. A stop waits for calls
	// under way.
	CallTimeout time.Duration
	// Lease is how long a claim stays this engine's without a sign of life.
	Lease time.Duration
	// PerPass bounds the tenants that one pass takes, descendants counted; 0 is
	// no bound. A pass keeps the one that it began with.
	PerPass int64
	// Limits bounds the tenants taken in any 24 hours.
	Limits store.Limits
	// Grace is what an active tenant gets when it is deleted with DeleteAny and
	// the deletion is then refused half way. A zero field means its default.
	Grace store.Grace
	// Protected are the ids of tenants that are never purged.
	Protected []string
	// SourceMaxAge is how long ago the last good sync with the source may have ended
	// for a pass to claim a tenant; 0 is no bound, as without a source. A person's
	// deletion does not wait for one.
	SourceMaxAge time.Duration
	// ImmediateDelete governs [Engine.Delete].
	ImmediateDelete DeletePolicy
}

// DefaultSettings returns settings that suit the embedded store.
func DefaultSettings() Settings {
	return Settings{
		Concurrency:     64,
		Batch:           5_000,
		Attempts:        10,
		BackoffInitial:  30 * time.Second,
		BackoffMax:      6 * time.Hour,
		CallTimeout:     30 * time.Second,
		Lease:           5 * time.Minute,
		PerPass:         1_000,
		Limits:          store.Limits{PerDayShare: 0.10, ShareFloor: 50},
		Grace:           store.DefaultGrace(),
		ImmediateDelete: DeleteDisabled,
	}
}

// maxGrace is the longest grace period, in days, of which a date is taken for
// sound; see [store.Tenant.CheckDate].
const maxGrace = 3650

// Validate returns all that is wrong, joined, or nil. Each error is
// [store.Invalid] and has the configuration key in its field.
func (s Settings) Validate() error {
	var errs []error
	check := func(ok bool, key string, value any, want string) {
		if !ok {
			errs = append(errs, store.Errorf(store.Invalid, "%s %v: want %s", key, value, want).At(key))
		}
	}
	check(s.Concurrency >= 1 && s.Concurrency <= 1024, "purge.concurrency", s.Concurrency, "1 to 1024")
	check(s.Batch >= 1 && s.Batch <= 1_000_000, "limits.batch", s.Batch, "1 to 1000000")
	check(s.Attempts >= 1 && s.Attempts <= 1000, "purge.attempts", s.Attempts, "1 to 1000")
	check(s.BackoffInitial >= time.Second && s.BackoffInitial <= 24*time.Hour, "purge.backoff.initial", s.BackoffInitial, "1s to 24h")
	check(s.BackoffMax >= s.BackoffInitial && s.BackoffMax <= 7*24*time.Hour, "purge.backoff.max", s.BackoffMax, "purge.backoff.initial to 168h")
	check(s.CallTimeout >= time.Second && s.CallTimeout <= time.Hour, "purge.callTimeout", s.CallTimeout, "1s to 1h")
	check(s.Lease >= 10*time.Second && s.Lease <= 24*time.Hour, "purge.lease", s.Lease, "10s to 24h")
	check(s.SourceMaxAge >= 0, "source.maxAge", s.SourceMaxAge, "0 or more")
	check(s.PerPass >= 0, "limits.perPass", s.PerPass, "0 (no limit) or more")
	check(s.Limits.PerDay >= 0, "limits.perDay", s.Limits.PerDay, "0 (no limit) or more")
	share := s.Limits.PerDayShare
	check(!math.IsNaN(share) && share >= 0 && share <= 1, "limits.perDayShare", share, "0 (no limit) to 1")
	check(s.Limits.ShareFloor >= 0, "limits.perDayShareFloor", s.Limits.ShareFloor, "0 or more")
	check(s.Grace.Min >= 0 && s.Grace.Min <= maxGrace, "tenants.gracePeriod.min", s.Grace.Min, "1 to 3650 (days)")
	check(s.Grace.Max >= 0 && s.Grace.Max <= maxGrace, "tenants.gracePeriod.max", s.Grace.Max, "1 to 3650 (days)")
	if _, err := s.Grace.Check(0); err != nil {
		check(false, "tenants.gracePeriod.default", s.Grace.Default, "tenants.gracePeriod.min to tenants.gracePeriod.max")
	}
	for _, id := range s.Protected {
		if err := store.CheckID("tenants.protected", id); err != nil {
			errs = append(errs, err)
		}
	}
	switch s.ImmediateDelete {
	case DeleteNever, DeleteDisabled, DeleteAny:
	default:
		check(false, "api.immediateDelete", string(s.ImmediateDelete), "never, disabled or any")
	}
	return errors.Join(errs...)
}
