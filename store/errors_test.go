package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/store"
)

func TestCodeOf_FindsTheFirstCode(t *testing.T) {
	blocked := &store.BlockedError{TenantID: "a", Block: store.Block{Reason: store.BlockHold, By: "b"}}
	gate := &store.GateError{Gate: store.Gate{Reason: store.GatePaused}}
	for _, c := range []struct {
		err  error
		want store.Code
	}{
		{nil, ""},
		{errors.New("plain"), store.Internal},
		{context.Canceled, store.Internal},
		{store.Errorf(store.Gone, "x"), store.Gone},
		{fmt.Errorf("outer: %w", store.Errorf(store.Gone, "x")), store.Gone},
		{store.Errorf(store.Unavailable, "outer: %w", store.Errorf(store.Gone, "x")), store.Unavailable},
		{blocked, store.Precondition},
		{fmt.Errorf("outer: %w", blocked), store.Precondition},
		{gate, store.Unavailable},
		{errors.Join(errors.New("plain"), gate), store.Unavailable},
	} {
		if got := store.CodeOf(c.err); got != c.want {
			t.Errorf("CodeOf(%v) = %q; want %q", c.err, got, c.want)
		}
	}
}

func TestErrorf_KeepsTheCause(t *testing.T) {
	err := store.Errorf(store.Unavailable, "write: %w", context.Canceled)
	if !errors.Is(err, context.Canceled) || err.Error() != "write: context canceled" {
		t.Errorf("got %v", err)
	}
	at := err.At("field")
	if at.Field != "field" || err.Field != "" || !errors.Is(at, context.Canceled) || at.Code != store.Unavailable {
		t.Errorf("At gave %+v of %+v; want a copy", at, err)
	}
}

func TestErrors_NameWhomTheyWaitFor(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&store.BlockedError{TenantID: "a", Block: store.Block{Reason: store.BlockHold, By: "a"}}, `tenant "a" is blocked: hold`},
		{&store.BlockedError{TenantID: "a", Block: store.Block{Reason: store.BlockLaterDate, By: "b"}}, `tenant "a" is blocked: later_date of "b"`},
		{&store.GateError{Gate: store.Gate{Reason: store.GatePaused}}, "purging is stopped: paused"},
		{&store.GateError{Gate: store.Gate{Reason: store.GateHalted, Detail: "limits.perDay"}}, "purging is stopped: halted: limits.perDay"},
	} {
		if c.err.Error() != c.want {
			t.Errorf("got %q; want %q", c.err, c.want)
		}
	}
}

func TestKinds_G3_MachineAccessBeforePeople(t *testing.T) {
	want := []store.Kind{"oauthClient", "apiKey", "credential", "user"}
	if got := fmt.Sprint(store.Kinds()); got != fmt.Sprint(want) {
		t.Errorf("order of removal %s; want %s", got, want)
	}
	for _, k := range want {
		if got, err := store.ParseKind(string(k)); err != nil || got != k {
			t.Errorf("ParseKind(%q) = %q, %v", k, got, err)
		}
	}
	for _, s := range []string{"", "User", "users", "oauthclient", "tenant"} {
		_, err := store.ParseKind(s)
		wantInvalid(t, err, "kind")
	}
}

func TestCounts_AddUpByKind(t *testing.T) {
	var c store.Counts
	for i, k := range store.Kinds() {
		c.Add(k, int64(i+1))
	}
	c.Add("unknown", 100)
	c.SubTenants = 7
	if c.Resources() != 10 || c.Of(store.KindOAuthClient) != 1 || c.Of(store.KindAPIKey) != 2 || c.Of(store.KindCredential) != 3 || c.Of(store.KindUser) != 4 || c.Of("unknown") != 0 {
		t.Errorf("%+v", c)
	}
	if got, want := c.Plus(c), (store.Counts{Users: 8, Credentials: 6, APIKeys: 4, OAuthClients: 2, SubTenants: 14}); got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
	b, err := json.Marshal(c)
	if err != nil || string(b) != `{"users":4,"credentials":3,"apiKeys":2,"oauthClients":1,"subTenants":7}` {
		t.Errorf("encodes as %s, %v", b, err)
	}
}

func TestStatus_ParseAndIrrevocable_G2(t *testing.T) {
	irrevocable := map[store.Status]bool{store.StatusPurging: true, store.StatusFailed: true, store.StatusDeleted: true}
	for _, s := range store.Statuses() {
		if got, err := store.ParseStatus(string(s)); err != nil || got != s {
			t.Errorf("ParseStatus(%q) = %q, %v", s, got, err)
		}
		if s.Irrevocable() != irrevocable[s] {
			t.Errorf("%s: irrevocable %v", s, s.Irrevocable())
		}
	}
	for _, s := range []string{"", "Active", "deactivated"} {
		_, err := store.ParseStatus(s)
		wantInvalid(t, err, "status")
		if err != nil && !strings.Contains(err.Error(), "purging") {
			t.Errorf("%v does not say what would be right", err)
		}
	}
}
