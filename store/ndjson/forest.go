package ndjson

import (
	"bytes"
	"encoding/binary"

	"github.com/tenantpurge/purger/store"
)

// forest says how the tenants of an input belong together. A tenant is known by
// its number: its place, from 0, in the order of ids. The slices take 11 bytes
// a tenant, the only memory of an import that grows with its input.
type forest struct {
	parent []int32 // number of the parent, or one of the constants below
	root   []int32 // number of the topmost tenant above it in the input
	depth  []uint16
	state  []state
}

const (
	parentNone    = -1 // a root
	parentOutside = -2 // the parent is not in the input
)

// state is what is known of a tenant. Which value means what to resolve and
// what to settle is said there.
type state uint8

const (
	stateUnseen  state = iota
	statePath          // on the path that is being walked
	stateSound         // placed in its tree
	stateBroken        // its line was refused; it stands only for its id
	stateCycle         // on a cycle
	stateCycleBy       // on a cycle, and the one that is reported for it
	stateDeep          // the first one below store.MaxDepth
	stateLost          // below a defect, which is reported where it is
	stateUnknown       // its parent is neither in the input nor in the store

	stateAbsent   // not in the store; its parent decides
	stateNew      // to be written
	stateKept     // in the store
	stateConflict // in the store, and different
	statePurged   // was purged, or is below one that was
)

// newForest returns a forest of n tenants that are all roots.
func newForest(n int) *forest {
	f := &forest{parent: make([]int32, n), root: make([]int32, n), depth: make([]uint16, n), state: make([]state, n)}
	for i := range f.parent {
		f.parent[i] = parentNone
	}
	return f
}

// refKey is the key by which parents are looked up: the parent's id, then the
// number of the child.
func refKey(b []byte, parentID string, child int) []byte {
	b = append(append(b, parentID...), 0)
	return binary.BigEndian.AppendUint32(b, uint32(child))
}

// link sets the parents. refs has a refKey for each tenant that is not a root;
// nextID returns the ids in order, nil at the end.
func (f *forest) link(refs *records, nextID func() ([]byte, error)) error {
	id, err := nextID()
	if err != nil {
		return err
	}
	for n := 0; refs.next(); {
		end := len(refs.key) - 5
		parentID, child := refs.key[:end], binary.BigEndian.Uint32(refs.key[end+1:])
		for id != nil && bytes.Compare(id, parentID) < 0 {
			if id, err = nextID(); err != nil {
				return err
			}
			n++
		}
		f.parent[child] = parentOutside
		if bytes.Equal(id, parentID) {
			f.parent[child] = int32(n)
		}
	}
	return refs.err
}

// resolve finds root and depth of every tenant, and what has none. It returns
// the first few cycles, as a closed path of numbers each, at most keep.
//
// Before, a state is stateUnseen or stateBroken; afterwards it is one of
// stateSound to stateLost. It walks every path up twice and keeps no stack, so
// that neither depth nor a cycle costs memory.
func (f *forest) resolve(keep int) (cycles [][]int32) {
	for v := range f.state {
		if f.state[v] != stateUnseen {
			continue
		}
		steps, at := 0, int32(v)
		for at >= 0 && f.state[at] == stateUnseen {
			f.state[at] = statePath
			at = f.parent[at]
			steps++
		}
		root, depth, sound := int32(-1), -1, true
		switch {
		case at < 0: // the path ends at a root, which is its last tenant
		case f.state[at] == statePath:
			path := f.cycle(at)
			if len(cycles) < keep {
				cycles = append(cycles, path)
			}
			sound = false
		case f.state[at] == stateSound:
			root, depth = f.root[at], int(f.depth[at])
		case f.state[at] == stateBroken:
			root, depth = at, 0
		default:
			sound = false
		}
		f.place(int32(v), steps, root, depth, sound)
	}
	return cycles
}

// cycle marks the cycle that leads through a tenant. It returns the path from
// the member with the smallest id back to it, cut after a few members.
func (f *forest) cycle(at int32) []int32 {
	first := at
	for v := f.parent[at]; v != at; v = f.parent[v] {
		first = min(first, v)
	}
	const members = 8
	path := []int32{first}
	f.state[first] = stateCycleBy
	v := f.parent[first]
	for ; v != first; v = f.parent[v] {
		f.state[v] = stateCycle
		if len(path) < members {
			path = append(path, v)
		}
	}
	return append(path, first)
}

// place settles the path from v up that resolve walked: steps tenants, the last
// of them below a tenant with this root and depth.
func (f *forest) place(v int32, steps int, root int32, depth int, sound bool) {
	if root < 0 && sound {
		for root = v; f.parent[root] >= 0; root = f.parent[root] {
		}
	}
	for d := depth + steps; steps > 0; steps, d, v = steps-1, d-1, f.parent[v] {
		switch {
		case f.state[v] != statePath: // on the cycle
		case !sound || d > store.MaxDepth+1:
			f.state[v] = stateLost
		case d == store.MaxDepth+1:
			f.state[v] = stateDeep
		default:
			f.state[v], f.root[v], f.depth[v] = stateSound, root, uint16(d)
		}
	}
}

// settle replaces every stateAbsent by what follows from the tenants above:
// below one that is or will be kept it is new, below a purged one purged, and
// below a defect lost.
func (f *forest) settle() {
	for v := range f.state {
		at := int32(v)
		for f.state[at] == stateAbsent {
			at = f.parent[at]
		}
		if at == int32(v) {
			continue
		}
		to := stateLost
		switch f.state[at] {
		case stateNew, stateKept, stateConflict:
			to = stateNew
		case statePurged:
			to = statePurged
		}
		for u := int32(v); u != at; u = f.parent[u] {
			f.state[u] = to
		}
	}
}
