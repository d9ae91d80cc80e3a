package boltstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/store"
)

// indexed is what an index holds of one tenant.
type indexed struct {
	Parent string
	Status uint8
}

// dump returns what the index of a store holds: tenants, and ids by host name.
func dump(t *testing.T, s *Store) (tenants map[string]indexed, hosts map[string][]string) {
	t.Helper()
	x, err := s.accessLoaded()
	if err != nil {
		t.Fatal(err)
	}
	tenants, hosts = map[string]indexed{}, map[string][]string{}
	for id, n := range x.ids {
		node := x.node(n)
		if node.id != id {
			t.Errorf("node %d of %q is that of %q", n, id, node.id)
		}
		v := indexed{Status: node.status}
		if node.parent != 0 && node.status != statusCode(store.StatusDeleted) {
			v.Parent = x.node(node.parent).id
		}
		tenants[id] = v
	}
	for host, n := range x.hosts {
		for prev := int32(0); n != 0; prev, n = n, x.node(n).next {
			if x.node(n).prev != prev {
				t.Errorf("the list of %q is broken at %q", host, x.node(n).id)
			}
			hosts[host] = append(hosts[host], x.node(n).id)
		}
		slices.Sort(hosts[host])
	}
	return tenants, hosts
}

// reload makes the store load its index anew.
func (f *fixture) reload(page int) {
	f.t.Helper()
	f.must(f.exclusive(func() error { f.access = nil; f.accessReady.Store(nil); return nil }))
	f.must(f.loadAccess(f.t.Context(), page))
}

// What is loaded while tenants are created, changed, purged and imported is what
// is loaded when they rest, whatever page a change falls between.
func TestLoadAccess_BesideChangesIsExact(t *testing.T) {
	f := newFixture(t)
	const trees, rounds = 60, 6
	for i := range trees {
		root := fmt.Sprintf("r%03d", i)
		f.create(root, "")
		for k := range 5 {
			f.create(fmt.Sprintf("%s-%d", root, k), root)
		}
	}
	for round := range rounds {
		var wg sync.WaitGroup
		for w := range 3 {
			wg.Go(func() {
				for i := w; i < trees; i += 3 {
					root := fmt.Sprintf("r%03d", i)
					host := fmt.Sprintf("Host%d.example", i%7)
					change := []store.Change{
						store.Deactivate(10, store.Grace{}, nil), store.Edit(nil, &host, nil), store.Reactivate(),
						store.Edit(nil, new(string), nil), store.Deactivate(10, store.Grace{}, nil), store.Edit(nil, &host, nil),
					}[round]
					if _, err := f.Update(t.Context(), root, store.Update{Origin: at(epoch), Change: change}); err != nil && store.CodeOf(err) != store.Gone {
						t.Error(err)
					}
					late := store.Tenant{ID: fmt.Sprintf("%s-late-%d", root, round), ParentID: root + "-0", Hostname: host}
					if _, err := f.Create(t.Context(), late, at(epoch)); err != nil && store.CodeOf(err) != store.Precondition && store.CodeOf(err) != store.Gone {
						t.Error(err)
					}
					if i%10 == round {
						if _, err := f.Claim(t.Context(), root, request(true)); err != nil && store.CodeOf(err) != store.Precondition {
							t.Error(err)
						}
					}
				}
			})
		}
		f.reload(5)
		wg.Wait()
		tenants, hosts := dump(t, f.Store)
		f.reload(accessPage)
		atRest, hostsAtRest := dump(t, f.Store)
		if diff := cmp.Diff(atRest, tenants); diff != "" {
			t.Fatalf("round %d: tenants (at rest -, beside changes +):\n%s", round, diff)
		}
		if diff := cmp.Diff(hostsAtRest, hosts); diff != "" {
			t.Fatalf("round %d: host names (at rest -, beside changes +):\n%s", round, diff)
		}
	}
}

// Loading never reads a commit that the index is yet to be told of: it would be
// told of a change from a state that it does not have.
func TestLoadAccess_WaitsForACommitToBePublished(t *testing.T) {
	f := newFixture(t)
	f.create("acme", "")
	f.memMu.Lock() // as a commit does until it is published
	loaded := make(chan error, 1)
	go func() { loaded <- f.LoadAccess(t.Context()) }()
	select {
	case err := <-loaded:
		t.Errorf("LoadAccess read beside a commit (%v)", err)
		f.memMu.Unlock()
	case <-time.After(200 * time.Millisecond):
		f.memMu.Unlock()
		f.must(<-loaded)
	}
}

// A change is not seen before it is durable, and never when it is taken back.
func TestAccess_G7_NothingBeforeTheCommit(t *testing.T) {
	f := newFixture(t)
	f.create("acme", "")
	f.deactivate("acme")
	f.must(f.LoadAccess(t.Context()))
	denied := store.Access{Known: true, Status: store.StatusDisabled, By: "acme"}
	want := func(when string) {
		t.Helper()
		if a, err := f.Access("acme"); err != nil || a != denied {
			t.Errorf("Access %s: %+v, %v; want %+v", when, a, err, denied)
		}
	}
	takenBack := errors.New("taken back")
	err := f.write(t.Context(), foreground, func(w *wtx) error {
		at, old, err := find(w.tx, "acme")
		if err != nil {
			return err
		}
		now := *old
		now.Status = store.StatusActive
		if err := w.replace(at, old, &now); err != nil {
			return err
		}
		want("before the commit")
		return takenBack
	})
	if !errors.Is(err, takenBack) {
		t.Fatal(err)
	}
	want("after the change was taken back")
	f.create("other", "")
	want("after the next commit")
}

// A store that failed may have another owner by now.
func TestAccess_OfAFailedStoreIsRefused(t *testing.T) {
	f := newFixture(t)
	f.create("acme", "")
	f.must(f.LoadAccess(t.Context()))
	f.fail(errors.New("injected"))
	if a, err := f.Access("acme"); store.CodeOf(err) != store.Unavailable {
		t.Errorf("Access: %+v, %v; want unavailable", a, err)
	}
	if a, err := f.AccessByHost("acme.example"); store.CodeOf(err) != store.Unavailable {
		t.Errorf("AccessByHost: %+v, %v; want unavailable", a, err)
	}
}

// However many tenants share a host name and however deep they are, an answer
// looks at a bounded number of nodes, and what it did not look at is denied.
func TestAccessByHost_IsBounded(t *testing.T) {
	chain := func(n int) *accessIndex {
		x := newAccessIndex(n, new(hostKey))
		for i := range n {
			c := accessChange{id: accessID(i), host: "shared.example"}
			if i > 0 {
				c.parent = accessID(i - 1)
			}
			x.apply([]accessChange{c})
		}
		return x
	}
	few, many := chain(500), chain(520) // 125,250 and 135,460 steps
	if a := few.byHost("shared.example"); !a.Allowed || a.Status != store.StatusActive {
		t.Errorf("shared by 500: %+v; want it allowed", a)
	}
	if a := many.byHost("shared.example"); a != (store.Access{Known: true}) {
		t.Errorf("shared by 520 in a chain: %+v; want it denied without a status", a)
	}
	if a := chain(store.MaxDepth + 1).byID(accessID(store.MaxDepth)); !a.Allowed {
		t.Errorf("at the largest depth: %+v; want it allowed", a)
	}
}

func TestAccess_AllocatesNothing(t *testing.T) {
	f := newFixture(t)
	f.create("acme", "")
	_, err := f.Create(t.Context(), store.Tenant{ID: "child", ParentID: "acme", Hostname: "Child.example"}, at(epoch))
	f.must(err)
	f.must(f.LoadAccess(t.Context()))
	host := strings.ToUpper("child.example.")
	for range 2 {
		n := testing.AllocsPerRun(100, func() {
			a, aerr := f.Access("child")
			h, herr := f.AccessByHost(host)
			u, uerr := f.Access("nobody")
			if aerr != nil || herr != nil || uerr != nil || a != h || u.Known {
				t.Error(a, aerr, h, herr, u, uerr)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
		f.deactivate("acme")
	}
}
