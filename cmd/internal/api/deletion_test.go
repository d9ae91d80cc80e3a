package api

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// fill puts resources of every kind into a tenant: 1 OAuth client, 2 API keys, 3
// credentials, 4 users.
func (r *rig) fill(t *testing.T, id string) {
	t.Helper()
	var all []store.Resource
	for n, kind := range store.Kinds() {
		for i := range n + 1 {
			all = append(all, store.Resource{TenantID: id, Kind: kind, ID: string(kind) + "-" + string(rune('a'+i)),
				Data: json.RawMessage(`{"name":"someone"}`)})
		}
	}
	if err := r.store.Put(t.Context(), all); err != nil {
		t.Fatal(err)
	}
}

func TestDelete_AnswersAsTheDesignSays(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme", Name: "Acme Corporation"}, client.NewTenant{ID: "acme-eu", ParentID: "acme"})
		r.fill(t, "acme")
		r.fill(t, "acme-eu")
		r.disable(t, 0, "acme")
		res := raw(t, r, "DELETE /api/v1/admin/tenants/acme?version=2", "")
		got := res.json(t)
		for _, at := range []string{got["timestamp"].(string), got["data"].(map[string]any)["deletedAt"].(string)} {
			if v, err := time.Parse(store.TimeFormat, at); err != nil || time.Since(v) > time.Minute {
				t.Errorf("time %q: %v", at, err)
			}
		}
		delete(got, "timestamp")
		delete(got["data"].(map[string]any), "deletedAt")
		me := ProcessActor()
		want := map[string]any{
			"success": true, "message": "Tenant deleted successfully",
			"data": map[string]any{
				"id": "acme", "name": "Acme Corporation", "status": "deleted",
				"deletedBy": map[string]any{"id": me.ID, "name": me.Name, "email": ""},
				"resourcesDeleted": map[string]any{
					"oauthClients": 2.0, "apiKeys": 4.0, "credentials": 6.0, "users": 8.0, "subTenants": 1.0},
			},
		}
		if d := cmp.Diff(want, got); d != "" || res.status != 200 {
			t.Errorf("status %d (-want +got):\n%s", res.status, d)
		}
		receipt, err := r.Receipt(t.Context(), "acme-eu") // it went with its parent
		if err != nil {
			t.Fatal(err)
		}
		counts := store.Counts{OAuthClients: 2, APIKeys: 4, Credentials: 6, Users: 8, SubTenants: 1}
		if receipt.TenantID != "acme" || !receipt.Immediate || receipt.ClaimedBy != me.ID || !receipt.CountsExact ||
			receipt.Deleted != counts || receipt.Remaining != (store.Counts{}) {
			t.Errorf("receipt %+v", receipt)
		}
		entries, err := r.Audit(t.Context(), receipt.Audit.Seq, 1)
		if err != nil || len(entries.Data) != 1 || entries.Data[0].Hash != receipt.Audit.Hash {
			t.Errorf("the entry of the receipt: %+v, %v", entries, err)
		}
	})
}

func TestDelete_IsRefused(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "active"}, client.NewTenant{ID: "off"}, client.NewTenant{ID: "busy", ActiveSubscriptions: 1},
			client.NewTenant{ID: "gone"}, client.NewTenant{ID: "protected"})
		r.disable(t, 0, "off", "busy", "gone", "protected")
		if _, err := r.Delete(t.Context(), "gone", 0); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			id      string
			version int64
			code    store.Code
			block   store.BlockReason
		}{
			"active":        {"active", 0, store.Precondition, ""},
			"stale version": {"off", 1, store.Conflict, ""},
			"next version":  {"off", 3, store.Conflict, ""},
			"unknown":       {"nobody", 0, store.NotFound, ""},
			"gone":          {"gone", 0, store.Gone, ""},
			"subscriptions": {"busy", 2, store.Precondition, store.BlockActiveSubscriptions},
			"protected":     {"protected", 0, store.Precondition, store.BlockProtected},
		} {
			_, err := r.Delete(t.Context(), c.id, c.version)
			wantCode(t, err, c.code)
			var b *store.BlockedError
			if errors.As(err, &b) != (c.block != "") || c.block != "" && b.Block.Reason != c.block {
				t.Errorf("%s: error %#v, want the block %q", name, err, c.block)
			}
		}
		for _, version := range []string{"0", "-1", "x", "", "1.5"} {
			res := raw(t, r, "DELETE /api/v1/admin/tenants/off?version="+version, "")
			if p := res.problem(t); res.status != 400 || p.Source == nil || p.Source.Parameter != "version" {
				t.Errorf("version %q: status %d: %s", version, res.status, res.body)
			}
		}
		if got, err := r.Tenant(t.Context(), "off", false); err != nil || got.Status != store.StatusDisabled {
			t.Errorf("after refusals: %+v, %v", got, err)
		}
	})
}

func TestDelete_ForbiddenByPolicy(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"})
		r.disable(t, 0, "acme")
		for _, id := range []string{"acme", "nobody"} { // 403 before 404
			_, err := r.Delete(t.Context(), id, 0)
			wantCode(t, err, store.Forbidden)
		}
	}, withSettings(t, func(s *purge.Settings) { s.ImmediateDelete = purge.DeleteNever }))
}

func TestDelete_GateIsTold(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"})
		r.disable(t, 0, "acme")
		if _, err := r.Pause(t.Context(), client.PauseRequest{Reason: "maintenance"}); err != nil {
			t.Fatal(err)
		}
		_, err := r.Delete(t.Context(), "acme", 0)
		var gate *store.GateError
		if !errors.As(err, &gate) || gate.Gate.Reason != store.GatePaused || gate.Gate.Detail != "maintenance" {
			t.Errorf("error %#v", err)
		}
	})
}

func TestReceipt_OnlyOfAPurgedTenant(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"})
		_, err := r.Receipt(t.Context(), "acme")
		wantCode(t, err, store.Precondition)
		_, err = r.Receipt(t.Context(), "nobody")
		wantCode(t, err, store.NotFound)
		_, err = r.Receipt(t.Context(), "no/body")
		wantCode(t, err, store.Invalid)
	})
}

func TestDelete_WithItsVersionWantsADisabledTenantWhateverThePolicy(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"})
		wantCode(t, r.DeleteDisabled(t.Context(), "acme", 1), store.Precondition)
		if got, err := r.Tenant(t.Context(), "acme", false); err != nil || got.Version != 1 {
			t.Errorf("tenant %+v, %v", got, err)
		}
		if _, err := r.Delete(t.Context(), "acme", 1); err != nil {
			t.Errorf("the other call, which goes by the policy: %v", err)
		}
	}, withSettings(t, func(s *purge.Settings) { s.ImmediateDelete = purge.DeleteAny }))
}
