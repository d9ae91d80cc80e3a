package ndjson

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenantpurge/purger/store"
)

// naive finds the root and the depth of a tenant by walking up.
func naive(parent []int32, v int32) (root int32, depth int, cyclic bool) {
	for depth = 0; parent[v] >= 0; depth++ {
		if depth > len(parent) {
			return 0, 0, true
		}
		v = parent[v]
	}
	return v, depth, false
}

func TestForest_ResolveAgreesWithWalkingUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, 2, 3, 4, 5, 6, 10, 40}).Draw(t, "n")
		f := newForest(n)
		f.parent = rapid.SliceOfN(rapid.Int32Range(-2, int32(n-1)), n, n).Draw(t, "parents")
		parent := slices.Clone(f.parent)
		cycles := f.resolve(100)
		reported := 0
		for v := range int32(n) {
			root, depth, cyclic := naive(parent, v)
			onCycle := cyclic
			if cyclic { // on it, or below it
				u := parent[v]
				for i := 0; i < n && u != v; i++ {
					u = parent[u]
				}
				onCycle = u == v
			}
			switch {
			case onCycle:
				if f.state[v] == stateCycleBy {
					reported++
				} else if f.state[v] != stateCycle {
					t.Fatalf("%d is on a cycle, state %d", v, f.state[v])
				}
			case cyclic:
				if f.state[v] != stateLost {
					t.Fatalf("%d is below a cycle, state %d", v, f.state[v])
				}
			case f.state[v] != stateSound || f.root[v] != root || int(f.depth[v]) != depth:
				t.Fatalf("%d: state %d, root %d, depth %d; want root %d, depth %d", v, f.state[v], f.root[v], f.depth[v], root, depth)
			}
		}
		if reported != len(cycles) {
			t.Fatalf("%d cycles reported, %d paths", reported, len(cycles))
		}
		for _, path := range cycles {
			if path[0] != path[len(path)-1] || f.state[path[0]] != stateCycleBy || slices.Min(path) != path[0] {
				t.Fatalf("cycle %v", path)
			}
		}
	})
}

// chain returns n tenants, each below the one before.
func chain(n int) *forest {
	f := newForest(n)
	for v := 1; v < n; v++ {
		f.parent[v] = int32(v - 1)
	}
	return f
}

func TestForest_DepthIsBoundedWithoutRecursion(t *testing.T) {
	f := chain(1_000_000)
	f.resolve(1)
	for v, want := range map[int]state{
		0: stateSound, store.MaxDepth: stateSound, store.MaxDepth + 1: stateDeep, store.MaxDepth + 2: stateLost, 999_999: stateLost,
	} {
		if f.state[v] != want {
			t.Errorf("depth %d: state %d, want %d", v, f.state[v], want)
		}
	}
	if f.depth[store.MaxDepth] != store.MaxDepth {
		t.Errorf("depth %d, want %d", f.depth[store.MaxDepth], store.MaxDepth)
	}

	// The other way round: each walk is the whole way.
	f = newForest(1_000_000)
	for v := range 999_999 {
		f.parent[v] = int32(v + 1)
	}
	f.resolve(1)
	if f.state[999_999] != stateSound || f.state[999_999-store.MaxDepth-1] != stateDeep || f.state[0] != stateLost {
		t.Errorf("states %d, %d, %d", f.state[999_999], f.state[999_999-store.MaxDepth-1], f.state[0])
	}
}

func TestForest_SettleFollowsTheNearestKnown(t *testing.T) {
	for above, want := range map[state]state{
		stateNew: stateNew, stateKept: stateNew, stateConflict: stateNew, statePurged: statePurged,
		stateUnknown: stateLost, stateBroken: stateLost, stateLost: stateLost, stateCycle: stateLost, stateDeep: stateLost,
	} {
		f := chain(6)
		f.state = []state{stateNew, above, stateAbsent, stateAbsent, stateKept, stateAbsent}
		f.settle()
		if f.state[2] != want || f.state[3] != want || f.state[5] != stateNew || f.state[1] != above {
			t.Errorf("below state %d: %v, want %d", above, f.state, want)
		}
	}
}

func TestImport_NamesCycles(t *testing.T) {
	s := openStore(t)
	text := ""
	ring := func(name string, n int) {
		for i := range n {
			text += activeLine(fmt.Sprintf("%s-%02d", name, i), fmt.Sprintf("%s-%02d", name, (i+1)%n))
		}
	}
	ring("small", 2)
	ring("large", 10)
	text += activeLine("z-below", "small-01") + userLine("z-below", "u")
	want := []string{
		`line 1: "small-00": parentId: the tenant is its own ancestor: small-00 -> small-01 -> small-00`,
		`line 3: "large-00": parentId: the tenant is its own ancestor: large-00 -> large-01 -> large-02 -> large-03 -> large-04 -> large-05 -> large-06 -> large-07 -> ... -> large-00`,
	}
	_, err := importText(s, text)
	wantErrors(t, err, store.Invalid, want...)
	// Beyond MaxErrors, in the order of ids, a cycle is still counted, and told
	// when its line comes first.
	_, err = importText(s, text, func(o *ImportOptions) { o.MaxErrors = 1 })
	wantErrors(t, err, store.Invalid, `line 1: "small-00": parentId: the tenant is its own ancestor`)
	if bad := err.(*InvalidInput); bad.Total != 2 {
		t.Errorf("%d errors, want 2", bad.Total)
	}
}

func TestImport_RefusesTreesThatAreTooDeep(t *testing.T) {
	s := openStore(t)
	var b strings.Builder
	for i := range store.MaxDepth + 3 {
		parent := ""
		if i > 0 {
			parent = fmt.Sprintf("t-%05d", i-1)
		}
		b.WriteString(activeLine(fmt.Sprintf("t-%05d", i), parent))
	}
	_, err := importText(s, b.String())
	wantErrors(t, err, store.Invalid, `line 65537: "t-65536": parentId: 65536 levels below the root; want at most 65535`)
}
