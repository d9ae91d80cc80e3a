package targettest

import (
	"context"
	"sync"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// confusables returns tenant ids that a careless target takes for each other:
// by prefix, by case, as a pattern, by quoting, by escaping, by their looks. Those
// outside the alphabet of ids may be refused, but not confused.
func confusables() []string {
	return []string{
		"acme", "acme-1", "acme1", "acm", "acme.", "acme.eu", "acme:eu", "acme_eu", "acme-eu", "acmeXeu",
		"Acme", "ACME", "a.me", "a_me", "a-me",
		"a%", "a%e", "%", "_", "acme%", "acme'", `acme"`, "acme' OR '1'='1", "acme; --", "acme*", "acme/..", "acme/",
		"acme%2F", "acme\\", "acme ", " acme", "acme\x00", "acme&x=1", "acme#", "acme?", "(acme)", "acme)(id=*", "acm\u00e9",
		// To the eye they are one of the above. Normalized they are too: full-width
		// letters and the space that does not break by NFKC, the accent that stands
		// alone by NFC. Or they are once the Cyrillic letters are taken for Latin ones,
		// or what is not visible is left out.
		"\uff41cme", "\uff21\uff23\uff2d\uff25", "acme\u00a0", "acme\u0301", "\u0430cme", "acm\u0435",
		"ac\u00adme", "ac\u200bme", "ac\u200dme", "acme\ufe0f", "\ufeffacme",
	}
}

func otherKinds(t *trial) {
	kinds := t.sys.Target.Kinds()
	for i, purged := range kinds {
		for _, kind := range kinds {
			t.add("acme", kind, 4)
		}
		t.purge(purge.Request{TenantID: "acme", Kind: purged, Limit: large})
		for j, kind := range kinds {
			switch {
			case kind == purged:
				t.wantLeft("acme", kind, 0)
			case j < i: // emptied in an earlier round
				t.wantLeft("acme", kind, 4*(i-j))
			default:
				t.wantLeft("acme", kind, 4*(i+1))
			}
		}
	}
}

func confusable(t *trial) {
	for _, kind := range t.sys.Target.Kinds() {
		have := map[string]int64{}
		for i, id := range confusables() {
			if err := t.sys.Add(id, kind, 2+i%3); err != nil {
				if store.CheckID("id", id) == nil {
					t.Fatalf("harness: add to %q: %v", id, err)
				}
				continue
			}
			have[id] = t.left(id, kind)
		}
		for _, id := range confusables() {
			if valid := store.CheckID("id", id) == nil; valid {
				if got := t.count(id, kind); got != have[id] {
					t.Fatalf("Count(%q, %s) = %d, want %d", id, kind, got, have[id])
				}
				t.purge(purge.Request{TenantID: id, Kind: kind, Limit: large})
				have[id] = 0
			} else if did, err := t.step(context.Background(), purge.Request{TenantID: id, Kind: kind, Limit: large}); err == nil {
				have[id] -= min(did.Deleted, have[id])
			}
			for other, n := range have {
				if got := t.left(other, kind); got != n {
					t.Fatalf("after the purge of %q the system holds %d %s of %q, want %d", id, got, kind, other, n)
				}
			}
		}
	}
}

func concurrentTenants(t *trial) {
	kinds := t.sys.Target.Kinds()
	tenants := []string{"t1", "t2", "t3", "t4", "t5", "t6"}
	const n = 40
	for _, id := range append(tenants, "bystander") {
		for _, kind := range kinds {
			t.add(id, kind, n)
		}
	}
	var wg sync.WaitGroup
	for _, id := range tenants {
		for _, kind := range kinds {
			wg.Go(func() {
				sum, err := drain(t.sys.Target, purge.Request{TenantID: id, Kind: kind, Limit: 7})
				if err != nil || sum != n {
					t.Errorf("concurrent purge of %s of %q = %d, %v; want %d", kind, id, sum, err, n)
				}
			})
		}
	}
	wg.Wait()
	for _, kind := range kinds {
		for _, id := range tenants {
			t.wantLeft(id, kind, 0)
		}
		t.wantLeft("bystander", kind, n)
	}
}

// countBesidePurge counts a tenant over and over while another is purged, which makes
// a list of everybody's move. A target that cannot say for that may say so.
func countBesidePurge(t *trial) {
	const n = 5
	for _, kind := range t.sys.Target.Kinds() {
		t.add("globex", kind, t.h.Many)
		t.add("acme", kind, n)
		purged := make(chan error, 1)
		go func() {
			_, err := drain(t.sys.Target, purge.Request{TenantID: "globex", Kind: kind, Limit: t.h.Many/10 + 1})
			purged <- err
		}()
		for done := false; !done; {
			select {
			case err := <-purged:
				if done = true; err != nil {
					t.Errorf("purge of %s beside a count: %v", kind, err)
				}
			default:
			}
			got, err := patient(t, func() (int64, error) { return t.sys.Target.Count(context.Background(), "acme", kind) })
			if err == nil && got != n || err != nil && (done || store.CodeOf(err) != store.Conflict && store.CodeOf(err) != store.Unavailable) {
				t.Errorf("Count of %d %s while another tenant is purged = %d, %v", n, kind, got, err)
			}
		}
		t.wantLeft("acme", kind, n)
		t.purge(purge.Request{TenantID: "acme", Kind: kind, Limit: large})
	}
}

func concurrentSame(t *trial) {
	for _, kind := range t.sys.Target.Kinds() {
		const n = 60
		t.add("acme", kind, n)
		var (
			wg  sync.WaitGroup
			mu  sync.Mutex
			sum int64
		)
		for range 4 {
			wg.Go(func() {
				did, err := drain(t.sys.Target, purge.Request{TenantID: "acme", Kind: kind, Limit: 5})
				if err != nil {
					t.Errorf("concurrent purge of %s: %v", kind, err)
				}
				mu.Lock()
				defer mu.Unlock()
				sum += did
			})
		}
		wg.Wait()
		if sum != n {
			t.Errorf("four purges of the same %d %s reported %d together", n, kind, sum)
		}
		t.wantLeft("acme", kind, 0)
	}
}

// drain purges until there is no more, or nothing comes of it.
func drain(target purge.Target, r purge.Request) (int64, error) {
	var sum int64
	for idle := 0; idle < 100; {
		did, err := target.Purge(context.Background(), r)
		if err != nil {
			return sum, err
		}
		sum += did.Deleted
		if !did.More {
			return sum, nil
		}
		if did.Deleted == 0 {
			idle++
		}
	}
	return sum, nil
}
