package oauthtarget

import (
	"hash/maphash"
	"strings"
	"testing"
)

// The lines of a tenant are found by a hash, which another tenant may have, too.
func TestIndex_G4_ATenantWithTheSameHashIsNotTakenForTheOther(t *testing.T) {
	seed := maphash.MakeSeed()
	text := `{"tenant_id":"acme","client_id":"c","registration_client_uri":"https://l.example.com/c","registration_access_token":"t"}`
	x := &index{}
	if err := x.make(t.Context(), seed, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	for tenantID, want := range map[string]int{"acme": 1, "globex": 0} {
		list, err := x.clients(strings.NewReader(text), maphash.String(seed, "acme"), tenantID)
		if err != nil || len(list) != want {
			t.Errorf("%d clients of %s, %v, want %d", len(list), tenantID, err, want)
		}
	}
}
