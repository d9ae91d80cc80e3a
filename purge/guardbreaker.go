package purge

import (
	"sync"
	"time"

	"github.com/tenantpurge/purger/store"
)

// breaker keeps a target that fails from being called. It is closed at first;
// open for the cooldown of the policy in force once enough calls failed in a row;
// and from then on half open: one call, the probe, may go through and decides.
//
// It is safe for concurrent use.
type breaker struct {
	mu      sync.Mutex
	opened  time.Time // zero: closed
	probing bool      // half open, and the probe is under way

	// The failures in a row, and what they have in common.
	row     int
	tenant  string
	several bool // they are of more than one tenant
	down    bool // each says that the system is not there
}

// ask reports whether a call may be made. take makes it the probe if one is
// needed; then its end must be reported. Otherwise until is when to ask again.
func (b *breaker) ask(now time.Time, p *Policy, take bool) (ok, probe bool, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case p.BreakerFailures == 0 || b.opened.IsZero():
		return true, false, time.Time{}
	case now.Before(b.opened.Add(p.BreakerCooldown)):
		return false, false, b.opened.Add(p.BreakerCooldown)
	case b.probing:
		return false, false, now.Add(p.BreakerCooldown)
	}
	b.probing = take
	return true, take, time.Time{}
}

// reset closes the breaker, and forgets what failed.
func (b *breaker) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened, b.row = time.Time{}, 0
}

// turn is what the end of a call changed.
type turn int

// The turns.
const (
	turnNone turn = iota
	turnOpened
	turnClosed
)

// report takes the end of a call.
func (b *breaker) report(now time.Time, p *Policy, tenant string, probe bool, err error) turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	} else if !b.opened.IsZero() {
		return turnNone // it began before the breaker opened: the probe decides
	}
	if !sick(err) {
		b.row = 0
		if b.opened.IsZero() {
			return turnNone
		}
		b.opened = time.Time{}
		return turnClosed
	}
	if b.row == 0 {
		b.tenant, b.several, b.down = tenant, false, true
	}
	b.row++
	b.several = b.several || tenant != b.tenant
	b.down = b.down && absent(err)
	// One tenant that the system cannot digest is that tenant's trouble (G11).
	if p.BreakerFailures > 0 && (probe || b.row >= p.BreakerFailures && (b.several || b.down)) {
		b.opened = now
		return turnOpened
	}
	return turnNone
}

// sick reports whether err speaks against the system, and not only against what
// was asked of it.
func sick(err error) bool {
	if err == nil {
		return false
	}
	switch store.CodeOf(err) {
	case store.Invalid, store.NotFound, store.Gone, store.Conflict, store.Precondition, store.Forbidden:
		return ended(err)
	}
	return true
}
