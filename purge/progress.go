package purge

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// TargetProgress is how far the purge of one tenant is in one target, its
// sub-tenants included. It is about this process: what was removed before it
// began is not in it.
type TargetProgress struct {
	TenantID string // the top of the subtree
	Target   string
	// Done is how many resources were removed, Remaining how many were still
	// there by the last count, less those removed since; -1 is not known.
	Done, Remaining int64
	// Rate is how many were removed in a second over the last minute or so. It
	// falls when nothing happens, so that stuck is told from slow.
	Rate float64
	// ETA is when nothing remains if it goes on like this; zero: not known.
	ETA time.Time
	// Began is when this process took the tenant up, Progressed when it last
	// removed something, zero while it has not.
	Began, Progressed time.Time
	// Reason and Until say why the target is not called now, and when it will
	// be; "" and zero when it may be.
	Reason PostponeReason
	Until  time.Time
}

// Progress returns how far the purges under way are, ordered by tenant, then
// target.
func (e *Engine) Progress() []TargetProgress {
	now := time.Now()
	var rows []TargetProgress
	for _, t := range e.targets {
		rows = append(rows, t.track.rows(t.name, now)...)
	}
	slices.SortFunc(rows, func(a, b TargetProgress) int {
		return cmp.Or(strings.Compare(a.TenantID, b.TenantID), strings.Compare(a.Target, b.Target))
	})
	return rows
}

// untrack forgets a tenant whose purge has come to an end.
func (e *Engine) untrack(tenant string, end *ending) {
	if end.outcome == OutcomeRetrying {
		return
	}
	for _, t := range e.targets {
		t.track.forget(tenant)
	}
}

const (
	// maxTracked bounds the tenants whose progress is kept for each target.
	maxTracked = 10_000
	// rateSpan is how far apart the marks are from which a rate is taken.
	rateSpan = 30 * time.Second
)

// tracker keeps the progress of tenants in one target. The zero value is ready;
// it is safe for concurrent use.
type tracker struct {
	mu      sync.Mutex
	tenants map[string]*track
}

// track is one tenant of a tracker.
type track struct {
	done, remaining int64
	counted         bool
	began, last     time.Time
	put             *PostponedError
	// The rate is that since the older of two marks.
	old, young mark
}

// mark is how much was done when.
type mark struct {
	at   time.Time
	done int64
}

// change applies fn to the track of a tenant.
func (k *tracker) change(tenant string, fn func(v *track, now time.Time)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, v := time.Now(), k.tenants[tenant]
	if v == nil {
		if len(k.tenants) >= maxTracked {
			return
		}
		v = &track{began: now, old: mark{at: now}, young: mark{at: now}}
		if k.tenants == nil {
			k.tenants = map[string]*track{}
		}
		k.tenants[tenant] = v
	}
	v.put = nil
	fn(v, now)
}

// knows reports whether the tenant was counted.
func (k *tracker) knows(tenant string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	v := k.tenants[tenant]
	return v != nil && v.counted
}

// left takes what a count found.
func (k *tracker) left(tenant string, n int64) {
	k.change(tenant, func(v *track, _ time.Time) { v.remaining, v.counted = n, true })
}

// atLeast takes what a count of one kind found.
func (k *tracker) atLeast(tenant string, n int64) {
	k.change(tenant, func(v *track, _ time.Time) { v.remaining, v.counted = max(v.remaining, n), true })
}

// removed takes what a step removed. While it says that there is more, what remains
// is not nothing but unknown.
func (k *tracker) removed(tenant string, n int64, more bool) {
	k.change(tenant, func(v *track, now time.Time) {
		if now.Sub(v.young.at) >= rateSpan {
			v.old, v.young = v.young, mark{now, v.done}
		}
		v.done += n
		v.remaining = max(v.remaining-n, 0)
		v.counted = v.counted && (v.remaining > 0 || !more)
		if n > 0 {
			v.last = now
		}
	})
}

// putOff takes why a target failed or was not called.
func (k *tracker) putOff(tenant string, err error) {
	k.change(tenant, func(v *track, _ time.Time) { errors.As(err, &v.put) })
}

// forget drops a tenant.
func (k *tracker) forget(tenant string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.tenants, tenant)
}

// rows returns the progress of every tenant, ordered by id.
func (k *tracker) rows(target string, now time.Time) []TargetProgress {
	k.mu.Lock()
	defer k.mu.Unlock()
	rows := make([]TargetProgress, 0, len(k.tenants))
	for id, v := range k.tenants {
		p := TargetProgress{TenantID: id, Target: target, Done: v.done, Remaining: -1, Began: v.began, Progressed: v.last}
		if took := now.Sub(v.old.at).Seconds(); took > 0 {
			p.Rate = float64(v.done-v.old.done) / took
		}
		if v.counted {
			p.Remaining = v.remaining
			if seconds := float64(v.remaining) / p.Rate; seconds < maxETA.Seconds() {
				p.ETA = now.Add(time.Duration(seconds * float64(time.Second)))
			}
		}
		if v.put != nil {
			if until := v.put.renewed(now); now.Before(until) {
				p.Reason, p.Until = v.put.Reason, until
			}
		}
		rows = append(rows, p)
	}
	slices.SortFunc(rows, func(a, b TargetProgress) int { return strings.Compare(a.TenantID, b.TenantID) })
	return rows
}

// maxETA is how far ahead an end is foretold.
const maxETA = 10 * 365 * 24 * time.Hour
