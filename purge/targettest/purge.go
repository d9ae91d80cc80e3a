package targettest

import (
	"context"
	"slices"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// large is a limit that takes everything at once.
const large = 1 << 20

func identity(t *trial) {
	name, kinds := t.sys.Target.Name(), t.sys.Target.Kinds()
	if err := store.CheckID("name", name); err != nil || name == "store" {
		t.Errorf("Name() = %q: want an id other than \"store\" (%v)", name, err)
	}
	if again := t.sys.Target.Name(); again != name {
		t.Errorf("Name() = %q and then %q: want a constant", name, again)
	}
	if len(kinds) == 0 {
		t.Error("Kinds() is empty")
	}
	seen := map[store.Kind]bool{}
	for _, k := range kinds {
		if _, err := store.ParseKind(string(k)); err != nil {
			t.Errorf("Kinds(): %v", err)
		}
		if seen[k] {
			t.Errorf("Kinds() has %s twice", k)
		}
		seen[k] = true
	}
	if again := t.sys.Target.Kinds(); !slices.Equal(again, kinds) {
		t.Errorf("Kinds() = %v and then %v: want a constant", kinds, again)
	}
}

func counts(t *trial) {
	for i, kind := range t.sys.Target.Kinds() {
		n := t.h.Many + i
		t.add("acme", kind, n)
		if got := t.count("acme", kind); got != int64(n) {
			t.Errorf("Count of %d %s = %d", n, kind, got)
		}
	}
}

func countIsolated(t *trial) {
	kinds := t.sys.Target.Kinds()
	for i, kind := range kinds {
		t.add("acme", kind, 3+i)
		t.add("globex", kind, 30+i)
	}
	for i, kind := range kinds {
		if got := t.count("acme", kind); got != int64(3+i) {
			t.Errorf("Count(acme, %s) = %d, want %d", kind, got, 3+i)
		}
		if got := t.count("globex", kind); got != int64(30+i) {
			t.Errorf("Count(globex, %s) = %d, want %d", kind, got, 30+i)
		}
	}
}

func countIndependent(t *trial) {
	for _, kind := range t.sys.Target.Kinds() {
		t.add("acme", kind, 5)
		t.purge(purge.Request{TenantID: "acme", Kind: kind, Limit: large})
		if got := t.count("acme", kind); got != 0 {
			t.Errorf("Count of %s after the purge = %d", kind, got)
		}
		t.add("acme", kind, 2)
		if got := t.count("acme", kind); got != 2 {
			t.Errorf("Count of %s = %d after 2 were added: it is not counted in the system", kind, got)
		}
	}
}

func purgesInSteps(t *trial) {
	for _, kind := range t.sys.Target.Kinds() {
		t.add("acme", kind, t.h.Many)
		got := t.purge(purge.Request{TenantID: "acme", Kind: kind, Limit: t.h.Many/4 + 1})
		if got != int64(t.h.Many) {
			t.Errorf("removed %d of %d %s", got, t.h.Many, kind)
		}
		t.wantLeft("acme", kind, 0)
	}
}

func honoursLimit(t *trial) {
	for _, kind := range t.sys.Target.Kinds() {
		for _, limit := range []int{1, 7} {
			t.add("acme", kind, 20)
			before := t.left("acme", kind)
			did, err := t.step(context.Background(), purge.Request{TenantID: "acme", Kind: kind, Limit: limit})
			if err != nil {
				t.Fatalf("Purge of %s: %v", kind, err)
			}
			if gone := before - t.left("acme", kind); gone > int64(limit) || did.Deleted > int64(limit) {
				t.Errorf("limit %d: %d %s are gone and %d were reported", limit, gone, kind, did.Deleted)
			}
		}
	}
}

func countsExactly(t *trial) {
	for _, kind := range t.sys.Target.Kinds() {
		const n = 23
		t.add("acme", kind, n)
		r := purge.Request{TenantID: "acme", Kind: kind, Limit: 5}
		for steps := 0; ; steps++ {
			before := t.left("acme", kind)
			did, err := t.step(context.Background(), r)
			if err != nil {
				t.Fatalf("Purge of %s: %v", kind, err)
			}
			if gone := before - t.left("acme", kind); gone != did.Deleted {
				t.Fatalf("step %d: %d %s are gone and %d were reported", steps, gone, kind, did.Deleted)
			}
			if !did.More || steps > 4*n {
				break
			}
		}
		t.wantLeft("acme", kind, 0)
	}
}

func moreIsTrue(t *trial) {
	for _, kind := range t.sys.Target.Kinds() {
		// As many as a step takes, one more and one less.
		for _, n := range []int{9, 10, 11} {
			t.add("acme", kind, n)
			t.purge(purge.Request{TenantID: "acme", Kind: kind, Limit: 10})
			if left := t.left("acme", kind); left != 0 {
				t.Errorf("%d %s in steps of 10: More was false with %d left", n, kind, left)
				t.purge(purge.Request{TenantID: "acme", Kind: kind, Limit: large})
			}
		}
	}
}

func idempotent(t *trial) { again(t, false) }

func resumedIdempotent(t *trial) { again(t, true) }

// again purges twice; the second time there is nothing.
func again(t *trial, resumed bool) {
	for _, kind := range t.sys.Target.Kinds() {
		t.add("acme", kind, 12)
		t.purge(purge.Request{TenantID: "acme", Kind: kind, Limit: large})
		for range 2 {
			got := t.purge(purge.Request{TenantID: "acme", Kind: kind, Limit: large, Resumed: resumed})
			if got != 0 {
				t.Errorf("%d %s were reported that were gone already", got, kind)
			}
		}
	}
}

func unknownTenant(t *trial) {
	for _, kind := range t.sys.Target.Kinds() {
		if got := t.count("nobody", kind); got != 0 {
			t.Errorf("Count of %s of an unknown tenant = %d", kind, got)
		}
		did, err := t.step(context.Background(), purge.Request{TenantID: "nobody", Kind: kind, Limit: 10})
		if err != nil || did != (purge.Removed{}) {
			t.Errorf("Purge of %s of an unknown tenant = %+v, %v", kind, did, err)
		}
	}
}
