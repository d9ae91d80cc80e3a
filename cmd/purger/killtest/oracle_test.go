package killtest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tenantpurge/purger/store"
)

// oracle knows, in memory alone, what was asked of purger and what purger
// acknowledged, and so what its store must hold. It is safe for concurrent use
// by clients that change different trees.
type oracle struct {
	mu     sync.Mutex
	byID   map[string]*tenant
	kept   []*tenant // those not seen to be gone
	wrong  []string  // what was found to be wrong since the last report
	answer map[change]*answers

	chain    store.Chain
	audited  uint64            // entries that were read
	closed   bool              // the import gate, at the last entry read
	purges   map[string]string // by the id of the top: the digest of the receipt, by the audit trail
	receipts map[string]string // the same, by the receipt itself
}

// op is a change of one tenant that somebody asked for.
type op struct {
	action store.Action
	days   int       // of a deactivation
	at     time.Time // when it was asked for
}

func (p op) String() string {
	if p.action == store.ActionDeactivate {
		return fmt.Sprintf("%s for %d days", p.action, p.days)
	}
	return string(p.action)
}

// change is a kind of change of one tenant.
type change struct {
	action store.Action
	id     string
}

// answers counts what became of the changes of a kind since the last look.
type answers struct{ acknowledged, unsure, audited int }

func newOracle() *oracle {
	return &oracle{byID: map[string]*tenant{}, answer: map[change]*answers{}, purges: map[string]string{}, receipts: map[string]string{}}
}

// complain notes that something is wrong. The caller holds mu, or is alone.
func (o *oracle) complain(format string, args ...any) {
	o.wrong = append(o.wrong, fmt.Sprintf(format, args...))
}

// expect adds tenants that may be there from now on.
func (o *oracle) expect(tenants ...*tenant) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range tenants {
		o.byID[t.id] = t
		o.kept = append(o.kept, t)
	}
}

// imported notes that the import of f was acknowledged as complete.
func (o *oracle) imported(f *file) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range f.tenants {
		t.importOf = nil
	}
}

func (o *oracle) count(a store.Action, t *tenant) *answers {
	c := change{a, t.id}
	if o.answer[c] == nil {
		o.answer[c] = &answers{}
	}
	return o.answer[c]
}

// asks notes that a change is about to be sent.
func (o *oracle) asks(t *tenant, p op) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.unsure = append(t.unsure, p)
	o.count(p.action, t).unsure++
}

// asksDelete notes that an immediate deletion is about to be sent.
func (o *oracle) asksDelete(t *tenant) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.delete = true
}

// withdrawsDelete notes that the immediate deletion was refused.
func (o *oracle) withdrawsDelete(t *tenant) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.delete = false
}

// withdraws notes that the change that was asked for last was not made.
func (o *oracle) withdraws(t *tenant, p op) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.unsure = t.unsure[:len(t.unsure)-1]
	o.count(p.action, t).unsure--
}

// refuses is withdraws for a refusal that says that the tenant is being purged
// or was. That must be true then.
func (o *oracle) refuses(t *tenant, p op, err error) {
	o.withdraws(t, p)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.mayGo(t) {
		o.complain("%s of %s was refused, though nobody may purge it: %v", p.action, t.id, err)
	}
	t.purged = true
}

// acknowledges notes that the change that was asked for last was made; date is
// the promised one of a deactivation.
func (o *oracle) acknowledges(t *tenant, p op, date time.Time) {
	o.withdraws(t, p)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count(p.action, t).acknowledged++
	t.spec = p.apply(t.spec, date)
}

// apply returns what a change makes of a record.
func (p op) apply(s spec, date time.Time) spec {
	switch p.action {
	case store.ActionDeactivate:
		s.status, s.days, s.disabledAt = store.StatusDisabled, p.days, store.PurgeDate(date, -p.days)
	case store.ActionReactivate:
		s.status, s.days, s.disabledAt = store.StatusActive, 0, time.Time{}
	case store.ActionHold:
		s.held = true
	case store.ActionRelease:
		s.held = false
	}
	return s
}

// purgedTop notes that purger said that it has purged a tenant and all below it.
func (o *oracle) purgedTop(id string, counts store.Counts) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.byID[id]
	if t == nil {
		o.complain("purger says that it has purged %s, which nobody has asked for", id)
		return
	}
	// Whether an import that was not acknowledged is complete, the store will say.
	if t.gone == nil && t.importOf == nil && !o.mayGo(t) {
		o.complain("purger says that it has purged %s, which may not be purged (%s)", id, t.spec)
	}
	t.purged, t.seen = true, counts
}

// mayGo reports whether it may be that a pass or a deletion purges t at the top
// of its subtree.
func (o *oracle) mayGo(t *tenant) bool {
	if t.importOf != nil {
		return false
	}
	if purgeable(t, t.delete, nil) {
		return true
	}
	for _, n := range t.subtree() {
		for i := range n.unsure {
			if purgeable(t, t.delete, func(m *tenant) spec {
				if m == n {
					return n.unsure[i].apply(n.spec, time.Now().Add(24*time.Hour))
				}
				return m.spec
			}) {
				return true
			}
		}
	}
	return false
}

// purgeable reports whether the records of a subtree allow to purge it. specOf
// is nil for what is known of them.
func purgeable(top *tenant, immediate bool, specOf func(*tenant) spec) bool {
	now := time.Now()
	for _, t := range top.subtree() {
		s := t.spec
		if specOf != nil {
			s = specOf(t)
		}
		disabled := s.status == store.StatusDisabled
		early := disabled && now.Before(s.date()) && !immediate
		switch {
		case t.gone != nil:
		case s.held, s.subs > 0, slices.Contains(protectedIDs(), t.id), early, t == top && !disabled:
			return false
		}
	}
	return top.gone == nil
}

// due returns the topmost tenants that a pass must purge.
func (o *oracle) due() []*tenant {
	o.mu.Lock()
	defer o.mu.Unlock()
	var tops []*tenant
	for _, t := range o.kept {
		if t.importOf != nil || !purgeable(t, false, nil) {
			continue
		}
		above := t.above
		for above != nil && !purgeable(above, false, nil) {
			above = above.above
		}
		if above == nil {
			tops = append(tops, t)
		}
	}
	return tops
}

// roots returns the roots that are known to be there and that can be changed.
func (o *oracle) roots() []*tenant {
	o.mu.Lock()
	defer o.mu.Unlock()
	var roots []*tenant
	for _, t := range o.kept {
		if t.above == nil && t.importOf == nil && !t.purged && !slices.Contains(protectedIDs(), t.id) {
			roots = append(roots, t)
		}
	}
	return roots
}

// ids returns the ids of the tenants that may have been purged since the last
// look, or of all tenants that ever were.
func (o *oracle) ids(all bool) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var ids []string
	for _, t := range o.kept {
		ids = append(ids, t.id)
	}
	if !all {
		return ids
	}
	for id, t := range o.byID {
		if t.gone != nil {
			ids = append(ids, id)
		}
	}
	return ids
}
