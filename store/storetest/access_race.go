package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantpurge/purger/store"
)

// switched is a tenant that one goroutine changes to and fro. After an even
// number of changes it is active and has its first host name.
type switched struct {
	id string
	// begun and done count the changes that were begun and acknowledged.
	begun, done atomic.Int64
	change      func(n int64) store.Change // the change after n changes
	// ask reports whether the gate's answer is the one after an even number.
	ask func(g store.Gatekeeper) (even bool, err error)
}

// accessRace changes tenants in a loop while others ask for them: an answer
// that was asked for after a change was acknowledged, and given before the next
// began, tells of that change. Beside them, trees are imported and purged.
func accessRace(e *env) {
	g := e.gatekeeper()
	const rounds = 60
	var subjects []*switched
	for i := range 3 {
		root, child := fmt.Sprintf("root%d", i), fmt.Sprintf("child%d", i)
		e.createAll(root, child+"<"+root)
		subjects = append(subjects, statusSwitch(root, func(g store.Gatekeeper) (store.Access, error) { return g.Access(child) }))
		subjects = append(subjects, hostSwitch(e, fmt.Sprintf("host%d", i)))
	}
	e.create("byhost", "")
	subjects = append(subjects, statusSwitch("byhost", func(g store.Gatekeeper) (store.Access, error) { return g.AccessByHost(id2host("byhost")) }))

	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for _, s := range subjects {
		writers.Go(func() {
			for n := range int64(rounds) {
				s.begun.Store(n + 1)
				if _, err := e.tryUpdate(s.id, t0.Add(time.Duration(n)*time.Millisecond), s.change(n)); err != nil {
					e.t.Errorf("change %d of %q: %v", n, s.id, err)
					return
				}
				s.done.Store(n + 1)
				if even, err := s.ask(g); err != nil || even != ((n+1)%2 == 0) {
					e.t.Errorf("stale answer for %q right after change %d was acknowledged (%v)", s.id, n+1, err)
				}
			}
		})
	}
	for range 3 {
		readers.Go(func() {
			for {
				for _, s := range subjects {
					select {
					case <-stop:
						return
					default:
					}
					done := s.done.Load()
					even, err := s.ask(g)
					if err != nil || s.begun.Load() == done && even != (done%2 == 0) {
						e.t.Errorf("stale answer for %q after change %d (%v)", s.id, done, err)
						return
					}
				}
			}
		})
	}
	if _, ok := e.s.(store.Importer); ok {
		writers.Go(func() { purgeBeside(e, g) })
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

// statusSwitch deactivates and reactivates a tenant.
func statusSwitch(id string, access func(store.Gatekeeper) (store.Access, error)) *switched {
	return &switched{
		id: id,
		change: func(n int64) store.Change {
			if n%2 == 0 {
				return store.Deactivate(10, store.Grace{}, nil)
			}
			return store.Reactivate()
		},
		ask: func(g store.Gatekeeper) (bool, error) {
			a, err := access(g)
			return a.Allowed, err
		},
	}
}

// hostSwitch gives a tenant its second host name and its first again.
func hostSwitch(e *env, id string) *switched {
	e.create(id, "")
	names := []string{"second." + id + ".example", id2host(id)}
	return &switched{
		id:     id,
		change: func(n int64) store.Change { return store.Edit(nil, &names[n%2], nil) },
		ask: func(g store.Gatekeeper) (bool, error) {
			a, err := g.AccessByHost(names[1])
			return a.Known, err
		},
	}
}

// purgeBeside imports trees of some size, and disables and purges them.
func purgeBeside(e *env, g store.Gatekeeper) {
	const tenants = 600
	want := func(id string, status store.Status) {
		if a, err := g.Access(id); err != nil || a.Status != status || a.Allowed != (status == store.StatusActive) {
			e.t.Errorf("Access(%q): %+v, %v; want %s", id, a, err, status)
		}
	}
	for i := range 3 {
		root := fmt.Sprintf("tree%d", i)
		last := fmt.Sprintf("%s.%d", root, tenants-1)
		b := store.Batch{Tenants: []store.Tenant{{ID: root, Status: store.StatusActive}}}
		for n := range tenants {
			b.Tenants = append(b.Tenants, store.Tenant{ID: fmt.Sprintf("%s.%d", root, n), ParentID: root, Status: store.StatusActive, Hostname: "tree.example"})
		}
		if _, err := e.s.(store.Importer).ImportBatch(e.ctx(), b, by(t0)); err != nil {
			e.t.Errorf("ImportBatch: %v", err)
			return
		}
		want(last, store.StatusActive)
		if _, err := e.tryUpdate(root, t0, store.Deactivate(10, store.Grace{}, nil)); err != nil {
			e.t.Errorf("Deactivate: %v", err)
			return
		}
		want(last, store.StatusDisabled)
		c, err := e.tryClaim(root, due10.Add(day))
		if err != nil {
			e.t.Errorf("Claim: %v", err)
			return
		}
		want(last, store.StatusPurging)
		e.finishConcurrently(c.Token)
		want(last, store.StatusDeleted)
	}
}
