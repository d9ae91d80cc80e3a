package store_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tenantpurge/purger/store"
)

// claimed returns a tenant with a finished cascade, personal data included.
func claimed() store.Tenant {
	tn := disabled("acme")
	tn.ParentID, tn.Name, tn.Hostname, tn.DisabledBy = "root", "Secret Name", "secret.example", alice
	tn.Status = store.StatusPurging
	tn.Hold = &store.Hold{Reason: "Secret Reason", Actor: alice, Until: t0}
	tn.Purge = &store.Progress{
		PurgeID: "p-1", ClaimedAt: store.Timestamp{Time: t0.Add(240 * time.Hour)}, ClaimedBy: "system", Trigger: "schedule",
		Planned: store.Counts{Users: 3, SubTenants: 1}, Deleted: store.Counts{Users: 5, SubTenants: 1},
		Targets: map[string]store.Counts{"scim": {Users: 2}, "ldap": {Users: 0}}, LastError: "Secret Error",
	}
	return tn
}

func TestNewReceipt_TakesTheClaimOver(t *testing.T) {
	tn := claimed()
	at := t0.Add(241 * time.Hour)
	got := store.NewReceipt(&tn, []string{"acme-sub", "acme"}, store.Counts{}, at.Add(time.Microsecond))
	want := store.Receipt{
		ID: "p-1", TenantID: "acme", ParentID: "root", Tenants: []string{"acme-sub", "acme"},
		DisabledAt: store.Timestamp{Time: t0}, PurgeAfterDays: 10, EstimatedPurgeDate: store.Timestamp{Time: t0.Add(240 * time.Hour)}, DisabledBy: "alice",
		ClaimedAt: store.Timestamp{Time: t0.Add(240 * time.Hour)}, ClaimedBy: "system", Trigger: "schedule", DeletedAt: store.Timestamp{Time: at},
		Planned: store.Counts{Users: 3, SubTenants: 1}, Deleted: store.Counts{Users: 5, SubTenants: 1},
		Targets: map[string]store.Counts{"scim": {Users: 2}, "ldap": {}}, CountsExact: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"Secret", "secret", "Alice", "@"} {
		if strings.Contains(string(b), secret) {
			t.Errorf("the receipt holds %q: %s", secret, b)
		}
	}
	tn.Purge.CountsInexact = true
	if r := store.NewReceipt(&tn, nil, store.Counts{}, at); r.CountsExact {
		t.Error("inexact counts are called exact")
	}
}

// The digest is on record for ever: a change of the encoding would break every
// receipt that exists.
func TestReceipt_DigestIsStable(t *testing.T) {
	tn := claimed()
	r := store.NewReceipt(&tn, []string{"acme-sub", "acme"}, store.Counts{}, t0.Add(241*time.Hour))
	const want = "2f31b716048fedea337ef0b16133b1f1ed20bb994c97d3dfc1218502bb898912"
	if got := r.Digest(); got != want {
		t.Errorf("digest %s; want %s", got, want)
	}
	r.Audit = store.AuditRef{Seq: 7, Hash: "x"}
	if got := r.Digest(); got != want || r.Audit.Seq != 7 {
		t.Errorf("with an audit reference: digest %s, reference %v; want the same digest", got, r.Audit)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back store.Receipt
	if err := json.Unmarshal(b, &back); err != nil || back.Digest() != want {
		t.Errorf("decoded: digest %s, %v; want the same", back.Digest(), err)
	}
}

func TestReceipt_G8_DigestSeesEveryMember(t *testing.T) {
	tn := claimed()
	base := store.NewReceipt(&tn, []string{"acme-sub", "acme"}, store.Counts{}, t0.Add(241*time.Hour))
	seen := map[string]string{base.Digest(): "the original"}
	later := store.Timestamp{Time: t0.Add(time.Millisecond)}
	for name, edit := range map[string]func(*store.Receipt){
		"id": func(r *store.Receipt) { r.ID = "p-2" }, "tenantId": func(r *store.Receipt) { r.TenantID = "x" },
		"parentId": func(r *store.Receipt) { r.ParentID = "" }, "tenants": func(r *store.Receipt) { r.Tenants = []string{"acme", "acme-sub"} },
		"disabledAt": func(r *store.Receipt) { r.DisabledAt = later }, "purgeAfterDays": func(r *store.Receipt) { r.PurgeAfterDays++ },
		"estimatedPurgeDate": func(r *store.Receipt) { r.EstimatedPurgeDate = later }, "disabledBy": func(r *store.Receipt) { r.DisabledBy = "bob" },
		"claimedAt": func(r *store.Receipt) { r.ClaimedAt = later }, "claimedBy": func(r *store.Receipt) { r.ClaimedBy = "bob" },
		"trigger": func(r *store.Receipt) { r.Trigger = "api" }, "immediate": func(r *store.Receipt) { r.Immediate = true },
		"deletedAt": func(r *store.Receipt) { r.DeletedAt = later }, "planned": func(r *store.Receipt) { r.Planned.Users++ },
		"deleted": func(r *store.Receipt) { r.Deleted.APIKeys++ }, "remaining": func(r *store.Receipt) { r.Remaining.OAuthClients++ },
		"targets": func(r *store.Receipt) { r.Targets = map[string]store.Counts{"scim": {}} }, "countsExact": func(r *store.Receipt) { r.CountsExact = false },
		"lowerBounds":           func(r *store.Receipt) { r.LowerBounds = []store.LowerBound{{Target: "scim"}} },
		"lowerBounds' kind":     func(r *store.Receipt) { r.LowerBounds = []store.LowerBound{{Target: "scim", Kind: store.KindUser}} },
		"unaccounted":           func(r *store.Receipt) { r.Unaccounted = map[string]store.Counts{"scim": {Users: -1}} },
		"an end of lowerBounds": func(r *store.Receipt) { r.LowerBounds = []store.LowerBound{{Target: "scim"}, {Target: "ldap"}} },
	} {
		r := base
		edit(&r)
		d := r.Digest()
		if other, ok := seen[d]; ok {
			t.Errorf("an edit of %s has the digest of %s", name, other)
		}
		seen[d] = "an edit of " + name
	}
}

// TestReceipt_G8_OneOfBeforeStillVerifies: it did not say of what its counts are a
// lower bound.
func TestReceipt_G8_OneOfBeforeStillVerifies(t *testing.T) {
	const zeros = `{"users":0,"credentials":0,"apiKeys":0,"oauthClients":0,"subTenants":0}`
	const before = `{"id":"p-1","tenantId":"acme","tenants":["acme"],"claimedAt":"2026-01-01T00:00:00.000Z","claimedBy":"purger",` +
		`"deletedAt":"2026-01-01T00:00:01.000Z","planned":` + zeros + `,"deleted":` + zeros + `,"remaining":` + zeros + `,"targets":{"crm":` + zeros + `},"countsExact":false`
	sum := sha256.Sum256([]byte(before + "}"))
	var r store.Receipt
	if err := json.Unmarshal([]byte(before+`,"audit":{"seq":7,"hash":"x"}}`), &r); err != nil {
		t.Fatal(err)
	}
	if got := r.Digest(); got != hex.EncodeToString(sum[:]) {
		t.Errorf("the digest is %s, and was %x", got, sum)
	}
}
