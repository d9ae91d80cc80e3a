package killtest

import (
	"slices"
	"time"

	"github.com/tenantpurge/purger/store"
)

// judge compares what the store holds with what it must hold, and learns from it
// what became of that which was not answered.
func (o *oracle) judge(s *snapshot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.judgeImport(s)
	may := map[*tenant]bool{} // before anything is learnt
	for _, t := range o.kept {
		may[t] = o.mayGo(t)
	}
	for id := range s.live {
		switch t := o.byID[id]; {
		case t == nil:
			o.complain("%s is there, and nobody has asked for it", id)
		case t.gone != nil:
			o.complain("%s is there again after its purge", id)
		}
	}
	tops := map[*tenant]bool{}
	for _, t := range o.kept {
		live, isLive := s.live[t.id]
		stone, isDead := s.stones[t.id]
		switch {
		case isLive && isDead:
			o.complain("%s has a record and a tombstone", t.id)
		case isDead:
			if top := o.judgeGone(t, stone, s, may); top != nil {
				tops[top] = true
			}
		case !isLive:
			o.judgeAbsent(t)
		case live.Status == store.StatusActive || live.Status == store.StatusDisabled:
			o.judgeLive(t, live, s)
		default:
			o.judgePurging(t, live, s, may)
		}
	}
	for top := range tops {
		o.judgeReceipt(top, s)
	}
	o.judgeOld(s)
	o.judgeAudit(s)
	o.kept = slices.DeleteFunc(o.kept, func(t *tenant) bool { return t.gone != nil || o.byID[t.id] != t })
}

// judgeImport learns whether an import is complete: with the gate open, all of
// it must be there or nothing.
func (o *oracle) judgeImport(s *snapshot) {
	var pending *file
	for _, t := range o.kept {
		if t.importOf != nil {
			pending = t.importOf
		}
	}
	if s.gates.Import != nil {
		if pending == nil {
			o.complain("the import gate is closed, and every import was acknowledged as complete")
		}
		return
	}
	if pending == nil {
		return
	}
	for _, t := range pending.tenants {
		_, live := s.live[t.id]
		if _, dead := s.stones[t.id]; live || dead {
			for _, t := range pending.tenants {
				t.importOf = nil
			}
			return
		}
	}
}

// judgeAbsent is about a tenant that is not there and leaves no trace.
func (o *oracle) judgeAbsent(t *tenant) {
	switch {
	case t.importOf != nil:
	case slices.ContainsFunc(t.unsure, func(p op) bool { return p.action == store.ActionCreate }):
		delete(o.byID, t.id) // it was not made
	default:
		o.complain("%s is lost without a trace", t.id)
	}
}

// judgeLive is about a tenant that nobody has begun to purge.
func (o *oracle) judgeLive(t *tenant, live store.Tenant, s *snapshot) {
	for n := t; n != nil; n = n.above {
		if n.purged {
			o.complain("%s is there, and the purge of %s was acknowledged", t.id, n.id)
		}
	}
	parent := ""
	if t.above != nil {
		parent = t.above.id
	}
	if live.ParentID != parent {
		o.complain("%s is below %q, and was put below %q", t.id, live.ParentID, parent)
	}
	fits := t.spec.fits(live)
	for _, p := range t.unsure {
		dated := live.DisabledAt.After(p.at.Add(-time.Second)) && live.DisabledAt.Before(time.Now())
		fits = fits || p.apply(t.spec, live.EstimatedPurgeDate).fits(live) && (dated || p.action != store.ActionDeactivate)
	}
	if !fits {
		o.complain("%s is %s; acknowledged was: %s; asked for and not answered: %v", t.id, specOf(live), t.spec, t.unsure)
	}
	o.judgeResources(t, s, t.importOf == nil)
	t.spec, t.unsure, t.delete = specOf(live), nil, false
}

// specOf returns what a record says.
func specOf(r store.Tenant) spec {
	s := spec{status: store.StatusActive, disabledAt: r.DisabledAt, days: r.PurgeAfterDays, held: r.Hold != nil, subs: r.ActiveSubscriptions}
	if !r.DisabledAt.IsZero() {
		s.status = store.StatusDisabled
	}
	return s
}

// fits reports whether a record says just that.
func (s spec) fits(r store.Tenant) bool {
	if r.Status != s.status || (r.Hold != nil) != s.held || r.ActiveSubscriptions != s.subs {
		return false
	}
	if s.status == store.StatusActive {
		return r.DisabledAt.IsZero() && r.EstimatedPurgeDate.IsZero()
	}
	return r.DisabledAt.Equal(s.disabledAt) && r.PurgeAfterDays == s.days && r.EstimatedPurgeDate.Equal(s.date())
}

// judgeResources compares what a tenant has with what it must have; of one that
// is incomplete some may be missing.
func (o *oracle) judgeResources(t *tenant, s *snapshot, complete bool) {
	for _, k := range store.Kinds() {
		have := s.resources[t.id][k]
		found := 0
		for n := range t.holds.Of(k) {
			id := t.resourceID(k, n)
			data, ok := have[id]
			switch {
			case !ok && complete:
				o.complain("%s %s of %s is lost", k, id, t.id)
			case ok && data != t.resourceData(k, n):
				o.complain("%s %s of %s is %.80s; want %.80s", k, id, t.id, data, t.resourceData(k, n))
			}
			if ok {
				found++
			}
		}
		if found != len(have) {
			o.complain("%s has %d %s that nobody has asked for", t.id, len(have)-found, k)
		}
	}
}

// judgePurging is about a tenant in the midst of its purge.
func (o *oracle) judgePurging(t *tenant, live store.Tenant, s *snapshot, may map[*tenant]bool) {
	top := t
	for top != nil && s.live[top.id].Purge == nil {
		top = top.above
	}
	switch {
	case live.Status != store.StatusPurging:
		o.complain("%s is %s", t.id, live.Status)
	case top == nil:
		o.complain("%s is %s, and nothing above it was claimed", t.id, live.Status)
	case !may[top]:
		o.complain("%s is %s with %s, which may not be purged (%s)", t.id, live.Status, top.id, top.spec)
	case top.purged && !refused(top):
		o.complain("%s is %s, and the purge of %s was acknowledged", t.id, live.Status, top.id)
	}
	o.judgeResources(t, s, false)
	t.spec, t.unsure = specOf(live), nil
}

// refused reports whether all that is known of the purge of t is that another
// change was refused because of it.
func refused(t *tenant) bool { return t.seen == (store.Counts{}) }

// judgeEnd is for the very end: whatever was due is gone, and nothing is in
// between.
func (o *oracle) judgeEnd(s *snapshot) {
	for _, t := range o.due() {
		o.complain("%s is due (%s) and was not purged", t.id, t.spec)
	}
	for id, t := range s.live {
		if t.Status != store.StatusActive && t.Status != store.StatusDisabled {
			o.complain("%s is %s at the end", id, t.Status)
		}
	}
	if s.gates.Import != nil {
		o.complain("the import gate is closed at the end")
	}
}
