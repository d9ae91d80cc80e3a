package api

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// backdated is a store in which who is deactivated over the API was so a month ago:
// with the shortest grace period the date has come at once, with the longest it has
// not. It also remembers which version the last change of each person has made,
// which not all answers tell, and writes down what the engine decides.
type backdated struct {
	store.Store
	h    *history
	made *sync.Map // version by actor id
}

// Update implements store.Store.
func (b backdated) Update(ctx context.Context, id string, u store.Update) (store.Tenant, error) {
	if u.Change.Action == store.ActionDeactivate {
		u.At = u.At.Add(-days(31))
	}
	t, err := b.Store.Update(ctx, id, u)
	b.made.Store(u.Actor.ID, t.Version)
	return t, err
}

// Claim implements store.Store.
func (b backdated) Claim(ctx context.Context, id string, r store.ClaimRequest) (store.Claim, error) {
	call := b.h.now()
	c, err := b.Store.Claim(ctx, id, r)
	if err != nil {
		return c, err
	}
	t := heard{version: c.Tenant.Version}
	if c.Receipt != nil {
		t.status, t.version = store.StatusDeleted, b.tombstone(ctx, id)
	}
	b.h.add(raceClients, act{verb: verbClaim, tenant: id, due: !r.Immediate}, call, t)
	return c, nil
}

// Finish implements store.Store.
func (b backdated) Finish(ctx context.Context, tok store.Token, v store.Verification) (store.Receipt, error) {
	call := b.h.now()
	r, err := b.Store.Finish(ctx, tok, v)
	if err == nil {
		b.h.add(raceClients, act{verb: verbFinish, tenant: tok.TenantID}, call, heard{version: b.tombstone(ctx, tok.TenantID)})
	}
	return r, err
}

// tombstone returns the version of a tombstone, -1 where there is none.
func (b backdated) tombstone(ctx context.Context, id string) int64 {
	if t, err := b.Tombstone(ctx, id); err == nil {
		return t.Version
	}
	return -1
}

// The lengths of a grace period that has ended in a [backdated] store, and of one
// that has not.
const (
	daysDue    = 10
	daysNotDue = 90
)

// witness is a target that holds one user of each tenant and writes down when it
// removed it.
type witness struct {
	h *history

	mu     sync.Mutex
	erased map[string]bool
}

func (*witness) Name() string        { return "witness" }
func (*witness) Kinds() []store.Kind { return []store.Kind{store.KindUser} }

// Count implements purge.Target.
func (w *witness) Count(_ context.Context, id string, _ store.Kind) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.erased[id] {
		return 0, nil
	}
	return 1, nil
}

// Purge implements purge.Target.
func (w *witness) Purge(_ context.Context, r purge.Request) (purge.Removed, error) {
	call := w.h.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.erased[r.TenantID] {
		return purge.Removed{}, nil
	}
	w.erased[r.TenantID] = true
	w.h.add(raceClients, act{verb: verbErase, tenant: r.TenantID}, call, heard{})
	return purge.Removed{Deleted: 1}, nil
}

const (
	raceClients = 100
	raceTenants = 6 // at a time
	raceCalls   = 5 // of each client in a round
)

// TestRace_G2_ManyClientsAndPassesDecideOnce lets 100 clients deactivate, reactivate
// and delete the same few tenants over HTTP while passes run, and looks whether what
// they were heard can be put into an order in which G2 holds.
func TestRace_G2_ManyClientsAndPassesDecideOnce(t *testing.T) {
	for _, external := range []bool{true, false} {
		t.Run(fmt.Sprintf("with a target: %t", external), func(t *testing.T) { race(t, external, 3*time.Second) })
	}
}

// race goes on for a time, round by round.
func race(t *testing.T, external bool, atLeast time.Duration) {
	w := &witness{h: &history{began: time.Now()}, erased: map[string]bool{}}
	callers := map[string]Caller{}
	for i := range raceClients {
		id := fmt.Sprintf("client-%d", i)
		callers[id] = Caller{Actor: store.Actor{ID: id}, Role: client.RoleSuperAdmin}
	}
	var made sync.Map
	r := newRig(t, func(o *Options) {
		o.Store = backdated{o.Store, w.h, &made}
		eo := purge.Options{Store: o.Store, Settings: o.Engine.Settings()}
		eo.Settings.Limits, eo.Settings.PerPass = store.Limits{}, 0
		if external {
			eo.Targets = []purge.Target{w}
		}
		engine, err := purge.New(eo)
		if err != nil {
			t.Fatal(err)
		}
		o.Engine, o.Authenticate = engine, bearerOf(callers)
	})
	transport := &http.Transport{MaxIdleConnsPerHost: raceClients}
	t.Cleanup(transport.CloseIdleConnections)
	address := serveTCP(t, r.handler)
	clients := make([]*client.Client, raceClients)
	for i := range clients {
		var err error
		if clients[i], err = client.New(client.Options{Server: "http://" + address, Transport: transport,
			Token: func(context.Context) (string, error) { return fmt.Sprintf("client-%d", i), nil }}); err != nil {
			t.Fatal(err)
		}
	}
	var passes sync.WaitGroup
	var over atomic.Bool
	passes.Go(func() {
		for !over.Load() {
			if _, err := r.options.Engine.Run(context.Background(), purge.TriggerSchedule); err != nil {
				t.Errorf("a pass: %v", err)
				return
			}
		}
	})
	var all []string
	for began := time.Now(); time.Since(began) < atLeast; {
		ids := make([]string, raceTenants)
		for i := range ids {
			ids[i] = fmt.Sprintf("t%d", len(all)+i)
			if _, err := r.store.Create(t.Context(), store.Tenant{ID: ids[i]}, store.Origin{Actor: store.Actor{ID: "x"}, At: time.Now()}); err != nil {
				t.Fatal(err)
			}
			r.fill(t, ids[i])
		}
		all = append(all, ids...)
		var people sync.WaitGroup
		for i, c := range clients {
			people.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(i), uint64(len(all))))
				for range raceCalls {
					a := act{tenant: ids[rng.IntN(len(ids))]}
					if err := w.h.live(t.Context(), i, c, rng, a, &made); err != nil {
						t.Errorf("client %d, %+v: %v", i, a, err)
					}
				}
			})
		}
		people.Wait()
	}
	over.Store(true)
	passes.Wait()
	w.h.check(t)
	r.wantWhole(t, all, w)
}

// live makes one call of a client and writes it down. The error is of an answer that
// nobody should get.
func (h *history) live(ctx context.Context, i int, c *client.Client, rng *rand.Rand, a act, made *sync.Map) error {
	var v client.Tenant
	var err error
	call := h.now()
	switch n := rng.IntN(20); {
	case n < 5:
		a.verb, a.due = verbDeactivate, n == 0
		length := daysNotDue
		if a.due {
			length = daysDue
		}
		_, err = c.Deactivate(ctx, a.tenant, client.DeactivateRequest{PurgeAfterDays: &length})
	case n < 10:
		a.verb, a.enabled = verbReactivate, true
		_, err = c.Reactivate(ctx, a.tenant)
	case n < 12:
		a.verb = verbGet
		v, err = c.Tenant(ctx, a.tenant, false)
	case n < 14:
		a.verb = verbTombstone
		v, err = c.Tenant(ctx, a.tenant, true)
	case n < 15:
		a.verb = verbCreate
		v, err = c.Create(ctx, client.NewTenant{ID: a.tenant})
	case n < 18:
		read := a
		read.verb = verbGet
		v, err = c.Tenant(ctx, a.tenant, false)
		h.add(i, read, call, heard{store.CodeOf(err), v.Status, v.Version})
		if v.ID == "" {
			return nil // it is gone
		}
		call, a.verb, a.version, a.enabled = h.now(), verbPut, v.Version, n > 15
		v, err = c.Put(ctx, a.tenant, client.TenantState{Enabled: a.enabled, Version: a.version})
	default:
		a.verb = verbDelete
		_, err = c.Delete(ctx, a.tenant, 0)
	}
	if version, ok := made.LoadAndDelete(fmt.Sprintf("client-%d", i)); ok && err == nil {
		v.Version = version.(int64)
	}
	if store.CodeOf(err) == store.Conflict {
		if a.verb == verbCreate {
			return nil // it says only that the tenant was not purged before
		}
		_, says, _ := strings.Cut(err.Error(), " has version ")
		_, _ = fmt.Sscanf(says, "%d", &v.Version) // 0 where it names none
	}
	h.add(i, a, call, heard{store.CodeOf(err), v.Status, v.Version})
	switch store.CodeOf(err) {
	case "", store.Gone, store.NotFound, store.Conflict, store.Precondition:
		return nil
	}
	return err
}

// wantWhole checks that each tenant has either lost everything or nothing.
func (r *rig) wantWhole(t *testing.T, ids []string, w *witness) {
	t.Helper()
	ends := map[store.Status]int{}
	for _, id := range ids {
		v, err := r.store.Tenant(t.Context(), id)
		if store.CodeOf(err) == store.Gone {
			v.Status, err = store.StatusDeleted, nil
		}
		n, countErr := r.store.Count(t.Context(), id)
		if err != nil || countErr != nil && store.CodeOf(countErr) != store.Gone {
			t.Errorf("tenant %q: %v, %v", id, err, countErr)
		}
		ends[v.Status]++
		switch v.Status {
		case store.StatusActive, store.StatusDisabled:
			if n.Resources() != 10 || w.erased[id] {
				t.Errorf("tenant %q is %s and has %+v, in the target: %t", id, v.Status, n, !w.erased[id])
			}
		case store.StatusDeleted:
			if n.Resources() != 0 {
				t.Errorf("tenant %q is purged and has %+v", id, n)
			}
		}
	}
	won, late := 0, 0
	for _, o := range w.h.list {
		switch a, t := o.Input.(act), o.Output.(heard); {
		case a.verb == verbReactivate && t.code == "":
			won++
		case a.verb == verbReactivate:
			late++
		}
	}
	t.Logf("%d calls, %d tenants: %v; %d reactivations came first, %d late", len(w.h.list), len(ids), ends, won, late)
	if won == 0 || late == 0 {
		t.Error("the race was none")
	}
}
