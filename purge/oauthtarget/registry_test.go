package oauthtarget_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/oauthtarget"
	"github.com/tenantpurge/purger/store"
)

// resources is a directory with one tenant, acme.
type resources struct {
	store.Directory
	list []store.Resource
	err  error
}

func (r resources) List(_ context.Context, tenantID string, kind store.Kind, after string, limit int) ([]store.Resource, error) {
	if r.err != nil || tenantID != "acme" || kind != store.KindOAuthClient {
		return nil, errors.Join(r.err, store.Errorf(store.NotFound, "no tenant %q", tenantID))
	}
	i, found := slices.BinarySearchFunc(r.list, after, func(r store.Resource, id string) int { return strings.Compare(r.ID, id) })
	if found {
		i++
	}
	return r.list[i:min(i+limit, len(r.list))], nil
}

func TestFromDirectory(t *testing.T) {
	var r resources
	for i := range 2345 {
		data := fmt.Sprintf(`{"client_id":"c%d","registration_client_uri":"https://l.example.com/%d","registration_access_token":"t%d","x":[]}`, i, i, i)
		switch {
		case i%3 == 0:
			data = `{"name":"not of an authorization server"}`
		case i == 1:
			data = strings.Replace(data, `"client_id":"c1",`, "", 1)
		case i == 3:
			data = ""
		}
		r.list = append(r.list, store.Resource{TenantID: "acme", Kind: store.KindOAuthClient, ID: fmt.Sprintf("r%04d", i), Data: json.RawMessage(data)})
	}
	got, err := oauthtarget.FromDirectory(r).Clients(t.Context(), "acme")
	if err != nil || len(got) != 1563 {
		t.Fatalf("%d clients, %v, want 1563", len(got), err)
	}
	for i, want := range []oauthtarget.Client{
		{ID: "r0001", URI: "https://l.example.com/1", Token: "t1"},
		{ID: "c2", URI: "https://l.example.com/2", Token: "t2"},
	} {
		if got[i] != want {
			t.Errorf("client %d is not the one of the data", i)
		}
	}
	if got, err := oauthtarget.FromDirectory(r).Clients(t.Context(), "nobody"); err != nil || len(got) != 0 {
		t.Errorf("an unknown tenant: %d clients, %v", len(got), err)
	}
	r.err = store.Errorf(store.Unavailable, "closed")
	if _, err := oauthtarget.FromDirectory(r).Clients(t.Context(), "acme"); store.CodeOf(err) != store.Unavailable {
		t.Errorf("a directory that fails: %v", err)
	}
}

func TestFromDirectory_ABrokenRegistrationIsAnErrorWithoutItsSecrets(t *testing.T) {
	for _, data := range []string{
		`{"registration_client_uri":"https://l.example.com/1"}`,
		`{"registration_client_uri":"/secret","registration_access_token":"secret"}`,
		`{"registration_client_uri":7,"registration_access_token":"secret"}`,
		`["secret"]`,
	} {
		r := resources{list: []store.Resource{{TenantID: "acme", Kind: store.KindOAuthClient, ID: "a", Data: json.RawMessage(data)}}}
		got, err := oauthtarget.FromDirectory(r).Clients(t.Context(), "acme")
		if store.CodeOf(err) != store.Precondition || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %d clients, %v", data, len(got), err)
		}
	}
	c := oauthtarget.Client{ID: "alice", URI: "https://secret", Token: "secret"}
	if s := fmt.Sprintf("%v %+v %#v %s", c, c, c, []oauthtarget.Client{c}); strings.Contains(s, "secret") || strings.Contains(s, "alice") {
		t.Errorf("a client prints as %s", s)
	}
}
