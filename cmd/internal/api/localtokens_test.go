package api

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// newLocal returns a maker of tokens, and the Authenticate that knows them.
func newLocal(t *testing.T) (*LocalTokens, *Tokens) {
	t.Helper()
	local, err := NewLocalTokens()
	if err != nil {
		t.Fatal(err)
	}
	return local, NewTokens(TokenOptions{Local: local})
}

func TestLocalTokens_AreTheirMakerUntilTheyExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local, tokens := newLocal(t)
		jane := store.Actor{ID: "uid:1000", Name: "jane"}
		raw, err := local.key.Load().issue(jane, client.RoleOperator, time.Now(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Second)
		if c, err := authenticate(t, tokens, "Bearer "+raw); err != nil || c.Actor != jane || c.Role != client.RoleOperator {
			t.Errorf("%+v, %v", c, err)
		}
		time.Sleep(2 * time.Second)
		if _, err := authenticate(t, tokens, "Bearer "+raw); store.CodeOf(err) != store.Unauthenticated ||
			!strings.HasPrefix(err.Error(), "token: it expired at 2000-01-01T00:01:00.000Z; make a new one") || strings.Contains(err.Error(), "\n") {
			t.Errorf("expired: %v", err)
		}
	})
}

func TestLocalTokens_OfAnotherDaemonAreNotBelieved(t *testing.T) {
	other, _ := newLocal(t)
	_, tokens := newLocal(t)
	raw, err := other.key.Load().issue(store.Actor{ID: "uid:0"}, client.RoleSuperAdmin, time.Now(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := authenticate(t, tokens, "Bearer "+raw); store.CodeOf(err) != store.Unauthenticated || !strings.Contains(err.Error(), "purger token") {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestLocalTokens_AnotherKeyEndsThem(t *testing.T) {
	local, tokens := newLocal(t)
	raw, err := local.key.Load().issue(store.Actor{ID: "uid:1000"}, client.RoleOperator, time.Now(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	apply, err := local.Renew()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authenticate(t, tokens, "Bearer "+raw); err != nil {
		t.Errorf("before the other key is in force: %v", err)
	}
	apply()
	if c, err := authenticate(t, tokens, "Bearer "+raw); store.CodeOf(err) != store.Unauthenticated || !strings.Contains(err.Error(), "purger token") {
		t.Errorf("afterwards: %+v, %v", c, err)
	}
}

// A caller whose role ends while its request comes in, byte by byte, gets no token for
// what it was.
func TestIssueToken_ByTheRoleThatItsCallerHasThen(t *testing.T) {
	local, _ := newLocal(t)
	role := make(chan client.Role, 2)
	role <- client.RoleSuperAdmin
	role <- client.RoleViewer // after a reload
	r := newRig(t, func(o *Options) {
		o.Tokens = local
		o.Authenticate = func(*http.Request) (Caller, error) {
			return Caller{Actor: store.Actor{ID: "uid:1000"}, Role: <-role}, nil
		}
	}).inProcess(t)
	if token, err := r.IssueToken(t.Context(), client.TokenRequest{Role: client.RoleSuperAdmin}); store.CodeOf(err) != store.Forbidden {
		t.Errorf("%+v, %v", token, err)
	}
}

func TestIssueToken_ForSuperAdminsOnTheSocketAlone(t *testing.T) {
	local, _ := newLocal(t)
	with := func(o *Options) { o.Tokens = local }
	r := newRig(t, as(client.RoleSuperAdmin, ""), with).inProcess(t)
	token, err := r.IssueToken(t.Context(), client.TokenRequest{Role: client.RoleOperator, Seconds: 60})
	if err != nil || token.Role != client.RoleOperator || time.Until(token.ExpiresAt.Time) > time.Minute {
		t.Fatalf("%+v, %v", token, err)
	}
	for body, want := range map[string]string{
		`{"role":"root"}`: "role", `{"role":"tenant"}`: "role", `{"seconds":0}`: "seconds", `{"seconds":3601}`: "seconds",
	} {
		res := raw(t, r, "POST /api/v1/tokens", body)
		if p := res.problem(t); res.status != http.StatusBadRequest || p.Source == nil || p.Source.Pointer != "/"+want {
			t.Errorf("%s: %d %s", body, res.status, res.body)
		}
	}
	for name, r := range map[string]*rig{
		"an operator": newRig(t, as(client.RoleOperator, ""), with).inProcess(t), "on TCP": newRig(t, as(client.RoleSuperAdmin, "")).inProcess(t),
	} {
		_, err := r.IssueToken(t.Context(), client.TokenRequest{})
		if store.CodeOf(err) != store.Forbidden {
			t.Errorf("%s: %v", name, err)
		}
	}
}
