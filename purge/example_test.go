package purge_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// sessions is a cache of sessions, which are credentials: a system that holds
// resources of tenants besides the store.
type sessions struct {
	mu       sync.Mutex
	byTenant map[string][]string
}

// Name implements purge.Target.
func (*sessions) Name() string { return "sessions" }

// Kinds implements purge.Target.
func (*sessions) Kinds() []store.Kind { return []store.Kind{store.KindCredential} }

// Count implements purge.Target.
func (s *sessions) Count(_ context.Context, tenantID string, _ store.Kind) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.byTenant[tenantID])), nil
}

// Purge implements purge.Target.
func (s *sessions) Purge(_ context.Context, r purge.Request) (purge.Removed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.byTenant[r.TenantID]
	n := min(r.Limit, len(list))
	s.byTenant[r.TenantID] = list[n:]
	return purge.Removed{Deleted: int64(n), More: n < len(list)}, nil
}

// A platform that is written in Go runs the engine inside its own process, with
// a target of its own.
func ExampleEngine_Run() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "purger-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := boltstore.Open(ctx, boltstore.Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()

	// Acme was deactivated 31 days ago, with 30 days of grace.
	past := store.Origin{Actor: store.Actor{ID: "support"}, At: time.Now().Add(-31 * 24 * time.Hour)}
	if _, err := s.Create(ctx, store.Tenant{ID: "acme", Name: "Acme Corporation"}, past); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := s.Update(ctx, "acme", store.Update{Origin: past, Change: store.Deactivate(30, store.DefaultGrace(), nil)}); err != nil {
		fmt.Println(err)
		return
	}

	cache := &sessions{byTenant: map[string][]string{"acme": {"s1", "s2", "s3"}, "globex": {"s4"}}}
	engine, err := purge.New(purge.Options{
		Store: s, Targets: []purge.Target{cache}, Settings: purge.DefaultSettings(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := engine.Run(ctx, purge.TriggerRun)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("result:", report.Result)
	for _, row := range report.Tenants {
		fmt.Println(row.ID, row.Outcome, "credentials:", row.ResourcesDeleted.Credentials)
	}
	fmt.Println("left of globex:", len(cache.byTenant["globex"]))
	// Output:
	// result: ok
	// acme deleted credentials: 3
	// left of globex: 1
}

// A plan tells what a pass would do, and changes nothing.
func ExampleEngine_Plan() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "purger-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := boltstore.Open(ctx, boltstore.Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()

	past := store.Origin{Actor: store.Actor{ID: "support"}, At: time.Now().Add(-31 * 24 * time.Hour)}
	for _, id := range []string{"acme", "globex"} {
		if _, err := s.Create(ctx, store.Tenant{ID: id}, past); err != nil {
			fmt.Println(err)
			return
		}
		if _, err := s.Update(ctx, id, store.Update{Origin: past, Change: store.Deactivate(30, store.DefaultGrace(), nil)}); err != nil {
			fmt.Println(err)
			return
		}
	}
	settings := purge.DefaultSettings()
	settings.Protected = []string{"globex"}
	engine, err := purge.New(purge.Options{Store: s, Settings: settings})
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := engine.Plan(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range plan.Tenants {
		fmt.Print(row.ID, " ", row.Outcome)
		if row.Block != nil {
			fmt.Print(": ", row.Block.Reason)
		}
		fmt.Println()
	}
	// Output:
	// acme deleted
	// globex blocked: protected
}
