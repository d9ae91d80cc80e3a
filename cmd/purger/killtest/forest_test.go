package killtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tenantpurge/purger/store"
)

// protectedIDs are what the configuration protects.
func protectedIDs() []string { return []string{"protected", "shielded-1"} }

// spec is what a tenant's record says, as far as it decides about its purge.
type spec struct {
	status     store.Status // active or disabled
	disabledAt time.Time
	days       int
	held       bool
	subs       int
}

func (s spec) String() string {
	return fmt.Sprintf("%s since %s for %d days, held: %t, subscriptions: %d",
		s.status, store.FormatTime(s.disabledAt), s.days, s.held, s.subs)
}

// date returns the first instant at which a disabled tenant may be purged.
func (s spec) date() time.Time { return store.PurgeDate(s.disabledAt, s.days) }

// tenant is what the oracle knows of a tenant.
type tenant struct {
	id       string
	above    *tenant
	below    []*tenant
	depth    int
	spec     spec
	holds    store.Counts // its own resources; SubTenants is not used
	size     int          // of the data of each resource, about
	importOf *file        // nil once it is known to be there as a whole

	unsure []op         // asked for since the last look, and not answered
	delete bool         // an immediate deletion was asked for
	purged bool         // it was acknowledged that it was purged at the top of its subtree
	gone   *tenant      // the top with which it was seen to be purged
	seen   store.Counts // of the log line or report that acknowledged the purge
}

// subtree returns t and all below it, deepest first.
func (t *tenant) subtree() []*tenant {
	var all []*tenant
	for _, c := range t.below {
		all = append(all, c.subtree()...)
	}
	return append(all, t)
}

// child adds a tenant below t.
func (t *tenant) child(s spec) *tenant {
	c := &tenant{id: fmt.Sprintf("%s-%d", t.id, len(t.below)+1), above: t, depth: t.depth + 1, spec: s}
	t.below = append(t.below, c)
	return c
}

// resourceID and resourceData make the n-th resource of a kind.
func (t *tenant) resourceID(k store.Kind, n int64) string { return fmt.Sprintf("%s-%06d", k, n) }

func (t *tenant) resourceData(k store.Kind, n int64) string {
	return fmt.Sprintf(`{"of":"%s/%s/%d","pad":"%s"}`, t.id, k, n, strings.Repeat("x", t.size))
}

// lines returns the tenant and its resources as an import reads them.
func (t *tenant) lines() []string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"type":"tenant","id":"%s"`, t.id)
	if t.above != nil {
		fmt.Fprintf(&b, `,"parentId":"%s"`, t.above.id)
	}
	fmt.Fprintf(&b, `,"name":"Tenant %s","status":"%s"`, t.id, t.spec.status)
	if t.spec.status == store.StatusDisabled {
		fmt.Fprintf(&b, `,"disabledAt":"%s","purgeAfterDays":%d`, store.FormatTime(t.spec.disabledAt), t.spec.days)
	}
	if t.spec.held {
		b.WriteString(`,"hold":{"reason":"litigation"}`)
	}
	fmt.Fprintf(&b, `,"activeSubscriptions":%d}`, t.spec.subs)
	all := []string{b.String()}
	for _, k := range store.Kinds() {
		for n := range t.holds.Of(k) {
			all = append(all, fmt.Sprintf(`{"type":"%s","tenantId":"%s","id":"%s","data":%s}`,
				k, t.id, t.resourceID(k, n), t.resourceData(k, n)))
		}
	}
	return all
}

// generator makes forests.
type generator struct {
	rng   *rand.Rand
	now   time.Time // of the generation, in whole milliseconds
	trees int
}

func (g *generator) active() spec { return spec{status: store.StatusActive} }

// due is disabled, and its date has come.
func (g *generator) due() spec {
	days := 10 + g.rng.IntN(81)
	past := time.Duration(1+g.rng.Int64N(400*24)) * time.Hour
	return spec{status: store.StatusDisabled, disabledAt: store.PurgeDate(g.now.Add(-past), -days), days: days}
}

// later is disabled, and its date is days ahead.
func (g *generator) later() spec {
	return spec{status: store.StatusDisabled, disabledAt: g.now.Add(-5 * 24 * time.Hour), days: 30}
}

// root begins a tree.
func (g *generator) root(s spec) *tenant {
	g.trees++
	return &tenant{id: fmt.Sprintf("t%05d", g.trees), spec: s}
}

// fill gives every tenant of a tree up to most resources of each kind.
func (g *generator) fill(t *tenant, most int64) *tenant {
	for _, n := range t.subtree() {
		n.size = g.rng.IntN(60)
		for _, k := range store.Kinds() {
			n.holds.Add(k, g.rng.Int64N(most+1))
		}
	}
	return t
}

// leaving returns a due tree of up to seven tenants.
func (g *generator) leaving() *tenant {
	t := g.root(g.due())
	for range g.rng.IntN(4) {
		c := t.child(g.active())
		if g.rng.IntN(2) == 0 {
			c.spec = g.due()
		}
		if g.rng.IntN(2) == 0 {
			c.child(g.active())
		}
	}
	return g.fill(t, 12)
}

// large returns a tree of which a sub-tree is due that takes several
// transactions to remove.
func (g *generator) large() *tenant {
	t := g.root(g.active())
	c := t.child(g.due())
	for range 3 {
		c.child(g.active())
	}
	g.fill(t, 5)
	c.size, c.holds.Users = 0, 9000+g.rng.Int64N(4000)
	return t
}

// fat returns a due tree whose data is so large that an import sorts it on disk.
func (g *generator) fat() *tenant {
	t := g.fill(g.root(g.due()), 5)
	t.size, t.holds.Credentials = 8000, 1400
	return t
}

// staying returns a tree of which nothing, or only a part, may be purged.
func (g *generator) staying() *tenant {
	var t *tenant
	switch g.rng.IntN(6) {
	case 0:
		t = g.root(g.active())
		t.child(g.active())
	case 1:
		t = g.root(g.later())
		t.child(g.active())
	case 2: // a hold below; beside it something due that goes by itself
		t = g.root(g.due())
		c := t.child(g.active())
		c.spec.held = true
		t.child(g.due())
	case 3: // a later promise below
		t = g.root(g.due())
		t.child(g.later())
	case 4:
		t = g.root(g.due())
		t.spec.subs = 2
	case 5:
		t = g.root(g.due())
		t.spec.held = true
	}
	return g.fill(t, 8)
}

// first returns the trees that stay from the first to the last round: what is
// protected, and enough to copy for a compaction to take some time.
func (g *generator) first() []*tenant {
	protected := &tenant{id: protectedIDs()[0], spec: g.due()}
	above := &tenant{id: "shielded", spec: g.due()}
	above.child(g.active())
	ballast := g.fill(g.root(g.active()), 5)
	ballast.size, ballast.holds.APIKeys = 6000, 1200
	return []*tenant{g.fill(protected, 9), g.fill(above, 9), ballast}
}
