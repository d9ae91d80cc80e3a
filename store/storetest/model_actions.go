package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
	"pgregory.net/rapid"
)

// modelIDs are the ids that random histories use: few, so that they meet, and
// easily taken for one another.
func modelIDs() []string {
	return []string{"a", "a.b", "a-b", "b", "ba", "A", "c", "c.a", "c.b", "d", "aa", "0"}
}

// machine runs one random history on a store and on the model.
type machine struct {
	*model
	e *env // its t is that of the whole test; failures go to the rapid.T
}

// actions returns what may happen.
func (m *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"":               m.compare,
		"create":         m.create,
		"deactivate":     m.deactivate,
		"deactivateMore": m.deactivate,
		"reactivate":     m.reactivate,
		"adopt":          m.adopt,
		"adoptMore":      m.adopt,
		"hold":           m.hold,
		"release":        m.release,
		"subscribe":      m.subscribe,
		"rehost":         m.rehost,
		"put":            m.put,
		"remove":         m.remove,
		"tick":           m.tick,
		"tickFar":        m.tick,
		"claim":          m.claim,
		"claimMore":      m.claim,
		"ripen":          m.ripen,
		"ripenMore":      m.ripen,
		"purgeInline":    m.purgeInline,
		"resume":         m.resume,
		"retry":          m.retry,
		"record":         m.record,
		"erase":          m.erase,
		"finish":         m.finishClaim,
		"postpone":       m.postpone,
		"yield":          m.yield,
		"pause":          m.pause,
		"import":         m.toggleImport,
		"importTenant":   m.importTenant,
		"compact":        m.compact,
		"reopen":         m.reopen,
	}
}

// want fails the history unless err has the code; "" is for no error.
func want(t *rapid.T, err error, code store.Code, what string, args ...any) {
	t.Helper()
	if code == "" && err == nil {
		return
	}
	what = fmt.Sprintf(what, args...)
	if code == "" {
		t.Fatalf("%s: %v; want it to succeed", what, err)
	}
	if defect := codeDefect(err, code); defect != "" {
		t.Fatalf("%s: %s", what, defect)
	}
}

// once reports true in one of n draws. It is even where an integer would be
// drawn small too often.
func once(t *rapid.T, n int, label string) bool {
	draws := make([]bool, n)
	draws[n-1] = true
	return rapid.SampledFrom(draws).Draw(t, label)
}

// anyID draws an id: mostly of a kept tenant, now and then any.
func (m *machine) anyID(t *rapid.T) string {
	ids := m.keptIDs()
	if len(ids) == 0 || once(t, 10, "any") {
		ids = modelIDs()
	}
	return rapid.SampledFrom(ids).Draw(t, "id")
}

// keptIDs returns the ids of the kept tenants, in a fixed order.
func (m *machine) keptIDs() []string {
	var ids []string
	for _, id := range modelIDs() {
		if m.tenants[id] != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// plant makes the forest in which a history begins.
func (m *machine) plant(t *rapid.T) {
	for _, id := range modelIDs()[:8] {
		parent := rapid.SampledFrom(append([]string{"", ""}, m.keptIDs()...)).Draw(t, "parent of "+id)
		host := rapid.SampledFrom(modelHosts()).Draw(t, "host of "+id)
		_, err := m.e.s.Create(m.e.ctx(), store.Tenant{ID: id, ParentID: parent, Hostname: host}, m.origin())
		want(t, err, "", "Create(%q below %q)", id, parent)
		m.add(id, parent).host = host
	}
}

// add takes a new tenant down.
func (m *machine) add(id, parent string) *modelTenant {
	m.born++
	tn := &modelTenant{id: id, parent: parent, born: m.born, status: store.StatusActive, version: 1, updated: m.now, resources: map[store.Kind]map[string]string{}}
	m.tenants[id] = tn
	return tn
}

// claimedID draws the top of a claim, if there is one, else any id.
func (m *machine) claimedID(t *rapid.T) string {
	var ids []string
	for _, id := range modelIDs() {
		if m.claims[id] != nil {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		t.Skip("nothing is claimed")
	}
	return rapid.SampledFrom(ids).Draw(t, "claimed")
}

func (m *machine) origin() store.Origin { return by(m.now) }

func (m *machine) create(t *rapid.T) {
	id := rapid.SampledFrom(modelIDs()).Draw(t, "id")
	parent := rapid.SampledFrom(append([]string{""}, modelIDs()...)).Draw(t, "parent")
	_, err := m.e.s.Create(m.e.ctx(), store.Tenant{ID: id, ParentID: parent}, m.origin())
	var codes []store.Code // whatever is looked at first
	switch {
	case id == parent:
		codes = append(codes, store.Invalid)
	case m.missing(id) == "":
		codes = append(codes, store.Conflict)
	case m.missing(id) == store.Gone:
		codes = append(codes, store.Gone)
	}
	if parent != "" && id != parent {
		if code := m.missing(parent); code != "" {
			codes = append(codes, code)
		} else if m.inactive(parent) {
			codes = append(codes, store.Precondition)
		}
	}
	if len(codes) > 0 {
		for _, c := range codes {
			if codeDefect(err, c) == "" {
				return
			}
		}
		t.Fatalf("Create(%q below %q): %v; want one of %v", id, parent, err, codes)
	}
	want(t, err, "", "Create(%q below %q)", id, parent)
	m.add(id, parent)
}

// inactive reports whether a tenant or one above it is not active.
func (m *machine) inactive(id string) bool {
	for _, t := range append(m.above(id), m.tenants[id]) {
		if t.status != store.StatusActive {
			return true
		}
	}
	return false
}

// change applies a change to a drawn tenant. refused says when the rules
// forbid it, apply changes the model and reports whether it is a change.
func (m *machine) change(t *rapid.T, c store.Change, refused func(*modelTenant) store.Code, apply func(*modelTenant) bool) {
	m.changeAs(t, m.origin(), c, refused, apply)
}

// changeAs is change by another than a person.
func (m *machine) changeAs(t *rapid.T, o store.Origin, c store.Change, refused func(*modelTenant) store.Code, apply func(*modelTenant) bool) {
	id := m.anyID(t)
	up := store.Update{Origin: o, Change: c}
	code := m.missing(id)
	if code == "" {
		tn := m.tenants[id]
		up.Version = rapid.SampledFrom([]int64{0, 0, 0, tn.version, tn.version, tn.version + 1}).Draw(t, "version")
		switch {
		case up.Version > tn.version:
			code = store.Conflict
			// Of a claimed tenant either is true, and of its version the model knows no more.
			if tn.status.Irrevocable() {
				up.Version, code = 0, refused(tn)
			}
		case tn.status.Irrevocable():
			up.Version, code = 0, refused(tn)
		default:
			code = refused(tn)
		}
	}
	_, err := m.e.s.Update(m.e.ctx(), id, up)
	want(t, err, code, "%s of %q", c.Action, id)
	if err == nil && apply(m.tenants[id]) {
		m.tenants[id].version++
		m.tenants[id].updated, m.tenants[id].stale = m.now, true
	}
}

func irrevocable(t *modelTenant) store.Code {
	if t.status.Irrevocable() {
		return store.Precondition
	}
	return ""
}

func (m *machine) deactivate(t *rapid.T) {
	days := rapid.SampledFrom([]int{10, 10, 11, 30, 90}).Draw(t, "days")
	m.change(t, store.Deactivate(days, store.Grace{}, nil), irrevocable, func(tn *modelTenant) bool {
		same := tn.status == store.StatusDisabled && tn.at.Equal(m.now) && tn.days == days && tn.block == nil && !tn.source
		tn.status, tn.at, tn.days, tn.date, tn.block = store.StatusDisabled, m.now, days, m.now.Add(time.Duration(days)*day), nil
		tn.stands, tn.source = time.Time{}, false
		return !same
	})
}

func (m *machine) reactivate(t *rapid.T) {
	refused := func(tn *modelTenant) store.Code {
		for _, a := range m.above(tn.id) {
			if a.status != store.StatusActive {
				return store.Precondition
			}
		}
		return irrevocable(tn)
	}
	m.change(t, store.Reactivate(), refused, func(tn *modelTenant) bool {
		if tn.status == store.StatusActive {
			return false
		}
		if tn.stands = m.now; tn.at.After(m.now) {
			tn.stands = tn.at
		}
		tn.status, tn.at, tn.days, tn.date, tn.block = store.StatusActive, time.Time{}, 0, time.Time{}, nil
		return true
	})
}

// adopt makes a source say something, by a clock that may be another.
func (m *machine) adopt(t *rapid.T) {
	a := store.Adoption{Disabled: rapid.Bool().Draw(t, "disabled")}
	if a.Disabled {
		ago := rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Hour, 10 * day, -time.Hour}).Draw(t, "ago")
		a.DisabledAt, a.PurgeAfterDays = m.now.Add(-ago), rapid.SampledFrom([]int{10, 30}).Draw(t, "days")
	}
	o := m.origin()
	o.Actor = crm
	m.changeAs(t, o, store.Adopt(a), irrevocable, func(tn *modelTenant) bool {
		switch {
		case !a.Disabled && tn.status == store.StatusActive:
			if tn.stands.IsZero() || !tn.updated.Before(m.now) {
				return false
			}
			tn.stands = time.Time{}
		case !a.Disabled:
			tn.status, tn.at, tn.days, tn.date, tn.block = store.StatusActive, time.Time{}, 0, time.Time{}, nil
		case !tn.stands.IsZero() && !a.DisabledAt.After(tn.stands):
			return false // a person's decision is newer
		case tn.status == store.StatusDisabled && !tn.source && a.DisabledAt.Before(tn.at) && a.Date().Before(tn.date):
			return false // and so is a person's promise
		case tn.status == store.StatusDisabled && tn.at.Equal(a.DisabledAt) && tn.days == a.PurgeAfterDays:
			return false
		default:
			tn.status, tn.at, tn.days, tn.block = store.StatusDisabled, a.DisabledAt, a.PurgeAfterDays, nil
			tn.date, tn.stands = a.DisabledAt.Add(time.Duration(a.PurgeAfterDays)*day), time.Time{}
			tn.source = true
		}
		return true
	})
}

func (m *machine) hold(t *rapid.T) {
	var until time.Time
	if d := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 12 * day, 40 * day}).Draw(t, "for"); d > 0 {
		until = m.now.Add(d)
	}
	reason := rapid.StringMatching("[a-z]{1,8}").Draw(t, "reason")
	m.change(t, store.SetHold(reason, until), irrevocable, func(tn *modelTenant) bool {
		same := tn.held && tn.until.Equal(until) && tn.since.Equal(m.now) && tn.reason == reason
		tn.held, tn.until, tn.since, tn.reason = true, until, m.now, reason
		return !same
	})
}

func (m *machine) release(t *rapid.T) {
	m.change(t, store.Release(), irrevocable, func(tn *modelTenant) bool {
		was := tn.held
		tn.held, tn.until = false, time.Time{}
		return was
	})
}

func (m *machine) subscribe(t *rapid.T) {
	n := rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "subscriptions")
	m.change(t, store.Edit(nil, nil, &n), irrevocable, func(tn *modelTenant) bool {
		same := tn.subs == n
		tn.subs = n
		return !same
	})
}

// modelHosts are the host names of random histories: few, so that tenants share
// them, and one in two spellings.
func modelHosts() []string {
	return []string{"", "a.example", "A.example", "b.example"}
}

func (m *machine) rehost(t *rapid.T) {
	host := rapid.SampledFrom(modelHosts()).Draw(t, "host")
	m.change(t, store.Edit(nil, &host, nil), irrevocable, func(tn *modelTenant) bool {
		same := tn.host == host
		tn.host = host
		return !same
	})
}

// errDown is what attempts end in.
var errDown = errors.New("target is down")
