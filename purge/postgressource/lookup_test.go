package postgressource_test

import (
	"fmt"
	"testing"

	"github.com/tenantpurge/purger/store"
)

// TestTenantsByID_G11_AnIDThatTheColumnCannotHoldIsOfThatOneTenant: a word, or a number
// too large, among those of a subtree.
func TestTenantsByID_G11_AnIDThatTheColumnCannotHoldIsOfThatOneTenant(t *testing.T) {
	d := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY, status text); INSERT INTO t SELECT g, 'active' FROM generate_series(1, 500) g")
	s := d.source(query("TABLE t"))
	unfit := map[string]bool{"legacy": true, "99999999999": true}
	ids := []string{"legacy", "501"}
	for i := 1; i <= 500; i++ {
		ids = append(ids, fmt.Sprint(i))
	}
	ids = append(ids, "99999999999")
	rows, err := s.TenantsByID(t.Context(), ids)
	if err != nil || len(rows) != 502 {
		t.Fatalf("%d rows, %v; want 502", len(rows), err)
	}
	for id, r := range rows {
		if r.Tenant.ID != id || (r.Err != nil) != unfit[id] {
			t.Errorf("%s: %+v", id, r)
		}
	}
	for id := range unfit { // not that there is none: it was not looked for
		if _, err := s.Tenant(t.Context(), id); store.CodeOf(err) != store.Invalid {
			t.Errorf("Tenant(%q): %v", id, err)
		}
	}
	if _, err := s.Tenant(t.Context(), "501"); store.CodeOf(err) != store.NotFound {
		t.Errorf("Tenant(501): %v", err)
	}
}
