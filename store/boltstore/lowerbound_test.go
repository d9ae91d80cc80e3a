package boltstore

import (
	"testing"

	"github.com/tenantpurge/purger/store"
)

// TestFinish_G5_AnEarlierVersionRefusesAStoreWhoseReceiptItWouldCallDamaged: such a
// version leaves members out of what it makes the digest of.
func TestFinish_G5_AnEarlierVersionRefusesAStoreWhoseReceiptItWouldCallDamaged(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		id     string
		v      store.Verification
		schema uint32
	}{
		{"exact", store.Verification{At: dueAt}, schemaFirst},
		{"missed", store.Verification{At: dueAt, Unaccounted: map[string]store.Counts{"crm": {Users: 3}}}, schemaLowerBounds},
	} {
		f.create(c.id, "")
		f.deactivate(c.id)
		claim, err := f.Claim(t.Context(), c.id, request(false))
		f.must(err)
		r, err := f.Finish(t.Context(), claim.Token, c.v)
		f.must(err)
		if schemaOf(f) != c.schema || r.CountsExact != (c.schema == schemaFirst) {
			t.Errorf("%s: schema %d, exact %t; want schema %d", c.id, schemaOf(f), r.CountsExact, c.schema)
		}
	}
}
