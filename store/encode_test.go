package store_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenantpurge/purger/store"
)

// texts yields ids and reasons of every kind, bad UTF-8 among them.
func texts() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "acme", `a"b\c`, "<&>", "\u2028\u2029", "\x00\x1f\x7f", "\xff\xc3\x28", "ünï", "😀"}),
		rapid.String(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
}

func counts() *rapid.Generator[store.Counts] {
	return rapid.Custom(func(t *rapid.T) store.Counts {
		n := rapid.Int64()
		return store.Counts{
			Users: n.Draw(t, "users"), Credentials: n.Draw(t, "credentials"), APIKeys: n.Draw(t, "keys"),
			OAuthClients: n.Draw(t, "clients"), SubTenants: n.Draw(t, "tenants"),
		}
	})
}

func stamps() *rapid.Generator[store.Timestamp] {
	return rapid.Custom(func(t *rapid.T) store.Timestamp {
		if rapid.IntRange(0, 3).Draw(t, "zero") == 0 {
			return store.Timestamp{}
		}
		at := time.UnixMilli(rapid.Int64Range(0, 253402300799999).Draw(t, "at"))
		return store.Timestamp{Time: at.In(time.FixedZone("", rapid.IntRange(-12, 14).Draw(t, "zone")*3600))}
	})
}

// TestEntry_G8_TheJSONIsThatOfEncodingJSON: whoever verifies the trail with
// another program encodes entries with a library.
func TestEntry_G8_TheJSONIsThatOfEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, n := texts(), rapid.Int64Range(-2, 1<<40)
		e := store.Entry{
			Seq: rapid.Uint64().Draw(t, "seq"), At: stamps().Draw(t, "at"), Actor: s.Draw(t, "actor"),
			Action: store.Action(s.Draw(t, "action")), TenantID: s.Draw(t, "tenant"),
			FromStatus: store.Status(s.Draw(t, "from")), ToStatus: store.Status(s.Draw(t, "to")),
			FromVersion: n.Draw(t, "from version"), ToVersion: n.Draw(t, "to version"),
			Detail: rapid.MapOfN(rapid.StringN(0, 8, -1), s, 0, 4).Draw(t, "detail"),
		}
		if rapid.Bool().Draw(t, "counted") {
			c := counts().Draw(t, "counts")
			e.Counts = &c
		}
		got := e.Seal(s.Draw(t, "prev"))
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Fatalf("%s\nwant %s", got, want)
		}
	})
}

// TestReceipt_G6_TheJSONIsThatOfEncodingJSON is the same for receipts.
func TestReceipt_G6_TheJSONIsThatOfEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, c, at := texts(), counts(), stamps()
		r := store.Receipt{
			ID: s.Draw(t, "id"), TenantID: s.Draw(t, "tenant"), ParentID: s.Draw(t, "parent"),
			Tenants: rapid.OneOf(rapid.Just[[]string](nil), rapid.SliceOf(s)).Draw(t, "tenants"), DisabledAt: at.Draw(t, "disabled"),
			PurgeAfterDays: rapid.IntRange(0, 90).Draw(t, "days"), EstimatedPurgeDate: at.Draw(t, "date"),
			DisabledBy: s.Draw(t, "by"), ClaimedAt: at.Draw(t, "claimed"), ClaimedBy: s.Draw(t, "claimed by"),
			Trigger: s.Draw(t, "trigger"), Immediate: rapid.Bool().Draw(t, "immediate"), DeletedAt: at.Draw(t, "deleted"),
			Planned: c.Draw(t, "planned"), Deleted: c.Draw(t, "deleted counts"), Remaining: c.Draw(t, "remaining"),
			Targets:     rapid.MapOfN(rapid.StringN(0, 8, -1), c, 0, 3).Draw(t, "targets"),
			CountsExact: rapid.Bool().Draw(t, "exact"),
			LowerBounds: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) store.LowerBound {
				return store.LowerBound{Target: s.Draw(t, "in"), Kind: rapid.SampledFrom(append(store.Kinds(), "")).Draw(t, "of")}
			}), 0, 3).Draw(t, "bounds"),
			Unaccounted: rapid.MapOfN(rapid.StringN(0, 8, -1), c, 0, 3).Draw(t, "unaccounted"),
		}
		bare, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		ref := store.AuditRef{Seq: rapid.Uint64Min(1).Draw(t, "seq"), Hash: s.Draw(t, "hash")}
		got, err := r.Seal(func(digest string) (store.AuditRef, error) {
			if sum := sha256.Sum256(bare); digest != hex.EncodeToString(sum[:]) || digest != r.Digest() {
				t.Fatalf("digest %s is not that of %s", digest, bare)
			}
			return ref, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) || r.Audit != ref {
			t.Fatalf("%s\nwant %s", got, want)
		}
	})
}
