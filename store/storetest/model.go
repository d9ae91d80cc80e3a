package storetest

import (
	"fmt"
	"sort"
	"time"

	"github.com/tenantpurge/purger/store"
)

// model is the rules of the store written down a second time, as simply as
// possible: everything is a map and is walked whole.
type model struct {
	now       time.Time
	tenants   map[string]*modelTenant
	tombs     map[string]string // by id: the tenant at the top of its purge
	claims    map[string]*modelClaim
	paused    bool
	importing bool
	born      int // order of creation
}

type modelTenant struct {
	id, parent string
	born       int
	status     store.Status // a tenant below a claimed one is purging
	version    int64
	updated    time.Time
	at, date   time.Time // disabledAt and estimatedPurgeDate
	stands     time.Time // reactivatedAt
	source     bool      // it is disabled as a source says
	days       int
	held       bool
	until      time.Time // of the hold, as are:
	since      time.Time
	reason     string
	subs       int
	host       string
	block      *store.Block
	stale      bool // a change may have ended the block: the store may forget it
	resources  map[store.Kind]map[string]string
}

// modelClaim is a claim that is not finished, under the id of its top.
type modelClaim struct {
	fence     uint64
	worked    bool // somebody has the lease
	leaseEnd  time.Time
	next      time.Time // zero: at once
	attempts  int
	targets   map[string]store.Counts
	immediate bool
	lapsed    bool // an owner vanished: the counts may be a lower bound
}

func newModel() *model {
	return &model{now: t0, tenants: map[string]*modelTenant{}, tombs: map[string]string{}, claims: map[string]*modelClaim{}}
}

// above returns the ancestors of a tenant, the nearest first.
func (m *model) above(id string) []*modelTenant {
	var up []*modelTenant
	for p := m.tenants[id].parent; p != ""; p = m.tenants[p].parent {
		up = append(up, m.tenants[p])
	}
	return up
}

// subtree returns the tenant and all below it, deepest first, those of one
// depth in the order of creation.
func (m *model) subtree(id string) []*modelTenant {
	var all []*modelTenant
	for _, t := range m.tenants {
		if t.id == id {
			all = append(all, t)
			continue
		}
		for _, a := range m.above(t.id) {
			if a.id == id {
				all = append(all, t)
			}
		}
	}
	sort.Slice(all, func(i, j int) bool {
		di, dj := len(m.above(all[i].id)), len(m.above(all[j].id))
		if di != dj {
			return di > dj
		}
		return all[i].born < all[j].born
	})
	return all
}

// missing returns the error code for an id that is not kept, "" for one that
// is.
func (m *model) missing(id string) store.Code {
	if _, ok := m.tombs[id]; ok {
		return store.Gone
	}
	if m.tenants[id] == nil {
		return store.NotFound
	}
	return ""
}

// counts returns what a tenant holds.
func (t *modelTenant) counts() store.Counts {
	var c store.Counts
	for k, rs := range t.resources {
		c.Add(k, int64(len(rs)))
	}
	return c
}

// gate returns the code with which a closed gate refuses.
func (m *model) gate(resume bool) store.Code {
	if m.paused || m.importing && !resume {
		return store.Unavailable
	}
	return ""
}

// instants returns the times at which something changes by itself.
func (m *model) instants() []time.Time {
	var ts []time.Time
	for _, t := range m.tenants {
		ts = append(ts, t.date, t.until)
	}
	for _, c := range m.claims {
		ts = append(ts, c.leaseEnd, c.next)
	}
	var ahead []time.Time
	for _, t := range ts {
		if t.After(m.now) {
			ahead = append(ahead, t)
		}
	}
	sort.Slice(ahead, func(i, j int) bool { return ahead[i].Before(ahead[j]) })
	return ahead
}

func (t *modelTenant) String() string {
	return fmt.Sprintf("%s<%s %s v%d date %s", t.id, t.parent, t.status, t.version, store.FormatTime(t.date))
}
