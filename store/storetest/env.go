package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

// The times of the histories. Every case begins at t0; a tenant that was
// disabled then for the shortest period is due at due10.
const day = 24 * time.Hour

var (
	t0    = time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)
	due10 = t0.Add(10 * day)
)

// Who acts in the cases. The words "secret" and "@" in what may not outlive a
// tenant make leaks easy to find.
var (
	alice  = store.Actor{ID: "alice", Name: "Alice Secretname", Email: "alice@secret.example"}
	system = store.Actor{ID: "system", Name: "purger"}
)

// env is one store under test and the case that uses it. Its methods without
// "try" fail the case when the store returns an error.
type env struct {
	t   *testing.T
	h   Harness
	dir string
	s   store.Store
}

// newEnv opens a new store. When the case ends the store is checked and closed.
func newEnv(t *testing.T, h Harness) *env {
	t.Helper()
	e := &env{t: t, h: h, dir: t.TempDir()}
	e.s = open(t, h, e.dir)
	t.Cleanup(e.end)
	return e
}

// takesLong leaves the case to the build tag long.
func (e *env) takesLong() {
	e.t.Helper()
	if !thorough {
		e.t.Skip("takes long: it is run with the build tag long")
	}
}

// another returns a second, new store for the same case.
func (e *env) another() *env {
	e.t.Helper()
	return newEnv(e.t, e.h)
}

// end finds what a case left broken. The case may have closed the store: then
// it is opened once more.
func (e *env) end() {
	ctx := context.Background()
	if e.s == nil {
		e.s = open(e.t, e.h, e.dir)
	}
	if err := e.s.Check(ctx); err != nil {
		e.t.Errorf("Check after the case: %v", err)
	}
	if err := verifyAudit(ctx, e.s); err != nil {
		e.t.Errorf("audit chain after the case (G8): %v", err)
	}
	if defect, err := accessDefect(ctx, e.s); err != nil || defect != "" {
		e.t.Errorf("the gate after the case: %s (%v)", defect, err)
	}
	if err := e.s.Close(); err != nil {
		e.t.Errorf("Close: %v", err)
	}
}

// ctx returns the context of the case.
func (e *env) ctx() context.Context { return e.t.Context() }

// close closes the store until reopen or the end of the case.
func (e *env) close() {
	e.t.Helper()
	if err := e.s.Close(); err != nil {
		e.t.Fatalf("Close: %v", err)
	}
	e.s = nil
}

// reopen closes the store and opens it again.
func (e *env) reopen() {
	e.t.Helper()
	if e.s != nil {
		e.close()
	}
	e.s = open(e.t, e.h, e.dir)
}

// by returns the origin of a change by alice.
func by(at time.Time) store.Origin { return store.Origin{Actor: alice, At: at} }

// create adds an active tenant at t0.
func (e *env) create(id, parentID string) store.Tenant {
	e.t.Helper()
	tn, err := e.s.Create(e.ctx(), store.Tenant{ID: id, ParentID: parentID, Name: "Secretname of " + id, Hostname: id2host(id)}, by(t0))
	if err != nil {
		e.t.Fatalf("Create(%q below %q): %v", id, parentID, err)
	}
	return tn
}

// id2host makes a host name of an id.
func id2host(id string) string {
	b := []byte(id)
	for i, c := range b {
		if c == ':' || c == '.' || c == '-' {
			b[i] = '_'
		}
	}
	return "secret." + string(b) + ".example"
}

// createAll adds tenants given as "id" or "id<parent".
func (e *env) createAll(specs ...string) {
	e.t.Helper()
	for _, spec := range specs {
		id, parent := splitSpec(spec)
		e.create(id, parent)
	}
}

func splitSpec(spec string) (id, parent string) {
	for i := range len(spec) {
		if spec[i] == '<' {
			return spec[:i], spec[i+1:]
		}
	}
	return spec, ""
}

// tryUpdate applies a change by alice.
func (e *env) tryUpdate(id string, at time.Time, c store.Change) (store.Tenant, error) {
	return e.s.Update(e.ctx(), id, store.Update{Origin: by(at), Change: c})
}

func (e *env) update(id string, at time.Time, c store.Change) store.Tenant {
	e.t.Helper()
	tn, err := e.tryUpdate(id, at, c)
	if err != nil {
		e.t.Fatalf("%s of %q: %v", c.Action, id, err)
	}
	return tn
}

// deactivate disables a tenant at the given time; its date is days later.
func (e *env) deactivate(id string, at time.Time, days int) store.Tenant {
	e.t.Helper()
	return e.update(id, at, store.Deactivate(days, store.Grace{Min: 1, Max: 3650}, nil))
}

// disabled creates a tenant and disables it at t0, so that it is due at due10.
func (e *env) disabled(id, parentID string) store.Tenant {
	e.t.Helper()
	e.create(id, parentID)
	return e.deactivate(id, t0, 10)
}

// subscribe sets the number of active subscriptions.
func (e *env) subscribe(id string, n int) {
	e.t.Helper()
	e.update(id, t0, store.Edit(nil, nil, &n))
}

// tenant reads a record.
func (e *env) tenant(id string) store.Tenant {
	e.t.Helper()
	tn, err := e.s.Tenant(e.ctx(), id)
	if err != nil {
		e.t.Fatalf("Tenant(%q): %v", id, err)
	}
	return tn
}

// gates reads the gates.
func (e *env) gates() store.Gates {
	e.t.Helper()
	g, err := e.s.Gates(e.ctx())
	if err != nil {
		e.t.Fatalf("Gates: %v", err)
	}
	return g
}

// changeGates changes the gates as alice.
func (e *env) changeGates(at time.Time, c store.GateChange) store.Gates {
	e.t.Helper()
	g, err := e.s.ChangeGates(e.ctx(), c, by(at))
	if err != nil {
		e.t.Fatalf("ChangeGates(%s): %v", c.Action, err)
	}
	return g
}

// stats describes the store.
func (e *env) stats(now time.Time) store.Stats {
	e.t.Helper()
	st, err := e.s.Stats(e.ctx(), now)
	if err != nil {
		e.t.Fatalf("Stats: %v", err)
	}
	return st
}
