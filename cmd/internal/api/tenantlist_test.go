package api

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

func TestTenants_SortedByDatePageByPage(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "active"}, client.NewTenant{ID: "top"})
		for _, id := range []string{"x", "y", "z"} {
			r.create(t, client.NewTenant{ID: id, ParentID: "top"})
		}
		all := []string{"x", "y", "z"}
		at := time.Now().Add(-days(5))
		for _, id := range all { // the same date: in the order of the ids
			if _, err := r.store.Update(t.Context(), id, store.Update{Origin: store.Origin{Actor: store.Actor{ID: "test"}, At: at},
				Change: store.Deactivate(10, store.DefaultGrace(), nil)}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 6 {
			id := fmt.Sprintf("t-%d", i)
			r.create(t, client.NewTenant{ID: id})
			r.disable(t, days(10*i), id)
		}
		want := []string{"t-5", "t-4", "t-3", "t-2", "t-1", "x", "y", "z", "t-0"}
		top, root := "top", ""
		for name, c := range map[string]struct {
			q    client.TenantQuery
			want []string
		}{
			"all":            {client.TenantQuery{}, want},
			"disabled":       {client.TenantQuery{Status: store.StatusDisabled}, want},
			"due":            {client.TenantQuery{Due: true}, want[:5]},
			"below a parent": {client.TenantQuery{ParentID: &top}, all},
			"roots":          {client.TenantQuery{ParentID: &root}, append(slices.Clone(want[:5]), "t-0")},
		} {
			for _, limit := range []int{0, 1, 2, 3, 9, 1000} {
				q := c.q
				q.Sort, q.Limit = client.SortDate, limit
				var got []string
				for v, err := range r.AllTenants(t.Context(), q) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, v.ID)
				}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Errorf("%s by %d (-want +got):\n%s", name, limit, d)
				}
			}
		}
	})
}
