package ndjson

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// relate numbers the tenants, refuses ids that are there twice and finds out
// who is below whom.
func (im *importing) relate(ctx context.Context) error {
	n, err := im.numberTenants(ctx)
	if err != nil {
		return err
	}
	im.forest = newForest(n)
	refs, err := im.parents.sorted()
	if err != nil {
		return err
	}
	pass, err := im.eachTenant()
	if err != nil {
		return err
	}
	nextID := func() ([]byte, error) {
		if !pass.next() {
			return nil, pass.err
		}
		return pass.id, im.meter.look(ctx)
	}
	if err := im.forest.link(refs, nextID); err != nil {
		return err
	}
	if err := im.parents.close(); err != nil {
		return err
	}
	if err := im.markBroken(); err != nil {
		return err
	}
	return im.refuseShapes(im.forest.resolve(im.o.MaxErrors))
}

// numberTenants counts the distinct tenants and collects the references to
// their parents.
func (im *importing) numberTenants(ctx context.Context) (int, error) {
	pass, err := im.eachTenant()
	if err != nil {
		return 0, err
	}
	pass.duplicate = func(line int64, of *tenantRecord) {
		im.refuse(line, string(of.id), store.Errorf(store.Invalid, "the tenant is on line %d already", of.line).At("id"))
	}
	for pass.next() {
		if err := im.meter.look(ctx); err != nil {
			return 0, err
		}
		p := &pass.present
		if p.broken {
			continue
		}
		im.hash(p.encoded)
		t, err := decodeTenant(p.encoded)
		if err != nil {
			return 0, err
		}
		if t.ParentID != "" {
			im.key = refKey(im.key[:0], t.ParentID, pass.number)
			if err := im.parents.add(im.key, nil); err != nil {
				return 0, err
			}
		}
	}
	return pass.number + 1, pass.err
}

// markBroken sets the state of the tenants whose lines were refused.
func (im *importing) markBroken() error {
	if im.bad.total == 0 {
		return nil
	}
	pass, err := im.eachTenant()
	if err != nil {
		return err
	}
	for pass.next() {
		if pass.present.broken {
			im.forest.state[pass.number] = stateBroken
		}
	}
	return pass.err
}

// hash adds a part of a record to the digest.
func (im *importing) hash(part []byte) {
	var n [binary.MaxVarintLen64]byte
	// A hash and a writer to it never fail.
	_, _ = im.hashed.Write(binary.AppendUvarint(n[:0], uint64(len(part))))
	_, _ = im.hashed.Write(part)
}

// refuseShapes reports cycles, one error for each, and trees that are too deep.
// paths are the first few cycles.
func (im *importing) refuseShapes(paths [][]int32) error {
	f := im.forest
	if !slices.Contains(f.state, stateCycleBy) && !slices.Contains(f.state, stateDeep) {
		return nil
	}
	ids := map[int32]string{}
	for _, path := range paths {
		for _, v := range path {
			ids[v] = ""
		}
	}
	lines := map[int32]int64{}
	pass, err := im.eachTenant()
	if err != nil {
		return err
	}
	for pass.next() {
		v, p := int32(pass.number), &pass.present
		_, inPath := ids[v]
		if inPath {
			ids[v], lines[v] = string(p.id), p.line
		}
		switch {
		case f.state[v] == stateDeep:
			im.refuse(p.line, string(p.id), parentError("%d levels below the root; want at most %d", store.MaxDepth+1, store.MaxDepth))
		case f.state[v] == stateCycleBy && !inPath:
			im.refuse(p.line, string(p.id), parentError("the tenant is its own ancestor"))
		}
	}
	for _, path := range paths {
		im.refuse(lines[path[0]], ids[path[0]], parentError("the tenant is its own ancestor: %s", f.draw(path, ids)))
	}
	return pass.err
}

// parentError is an error of the member parentId.
func parentError(format string, args ...any) *store.Error {
	return store.Errorf(store.Invalid, "parentId: "+format, args...).At("parentId")
}

// draw renders a cycle, each tenant followed by its parent.
func (f *forest) draw(path []int32, ids map[int32]string) string {
	var b strings.Builder
	b.WriteString(ids[path[0]])
	for i, v := range path[1:] {
		if f.parent[path[i]] != v {
			b.WriteString(" -> ...")
		}
		b.WriteString(" -> " + ids[v])
	}
	return b.String()
}
