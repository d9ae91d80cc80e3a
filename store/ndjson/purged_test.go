package ndjson

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/store"
)

// purge purges a due tenant.
func purge(t testing.TB, s store.Store, id string) {
	t.Helper()
	c, err := s.Claim(context.Background(), id, store.ClaimRequest{
		Origin: store.Origin{Actor: importer, At: now}, Owner: "test", Inline: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Receipt == nil {
		t.Fatalf("the purge of %q was not finished inline", id)
	}
}

// claim begins the purge of a due tenant and leaves it there.
func claim(t testing.TB, s store.Store, id string) {
	t.Helper()
	if _, err := s.Claim(context.Background(), id, store.ClaimRequest{Origin: store.Origin{Actor: importer, At: now}, Owner: "test"}); err != nil {
		t.Fatal(err)
	}
}

func TestImport_NeverResurrects(t *testing.T) {
	s := openStore(t)
	mustImport(t, s, sample())
	purge(t, s, "child") // with its grandchild
	before := auditHead(t, s)
	sum := mustImport(t, s, sample())
	want := Summary{Lines: 7, Tenants: Tally{Unchanged: 2, Skipped: 2}, Resources: Tally{Unchanged: 2, Skipped: 1}, Complete: true}
	if d := cmp.Diff(want, sum); d != "" {
		t.Errorf("the old file (-want +got):\n%s", d)
	}
	if after := auditHead(t, s); after != before {
		t.Errorf("%d audit entries by the old file", after-before)
	}

	// Records that the store never saw, below what was purged, at any depth and
	// whether or not the file has the purged tenants too.
	below := activeLine("n-1", "grandchild") + activeLine("0-2", "n-1") + activeLine("n-3", "0-2") + userLine("n-3", "u") + userLine("grandchild", "u")
	for name, text := range map[string]string{"alone": below, "with the purged": sample() + below} {
		f := &flaky{Store: s}
		sum := mustImport(t, f, text)
		if sum.Tenants.New+sum.Resources.New != 0 || sum.Tenants.Skipped < 3 || sum.Resources.Skipped < 2 || len(f.calls) > 0 {
			t.Errorf("%s: %+v, calls %v", name, sum, f.calls)
		}
	}

	// An id that was purged is never given again, wherever it would be.
	for _, text := range []string{activeLine("child", ""), activeLine("child", "other")} {
		if sum := mustImport(t, s, text); sum.Tenants != (Tally{Skipped: 1}) {
			t.Errorf("%s: %+v", text, sum)
		}
	}
	if got := exportText(t, s); strings.Contains(got, "child") || strings.Contains(got, "n-") {
		t.Errorf("exported\n%s", got)
	}
}

func TestImport_SkipsWhatIsBeingPurged(t *testing.T) {
	s := openStore(t)
	mustImport(t, s, sample())
	claim(t, s, "child")
	sum := mustImport(t, s, sample()+activeLine("below", "grandchild"))
	want := Summary{Lines: 8, Tenants: Tally{Unchanged: 2, Skipped: 3}, Resources: Tally{Unchanged: 2, Skipped: 1}, Complete: true}
	if d := cmp.Diff(want, sum); d != "" {
		t.Errorf("summary (-want +got):\n%s", d)
	}
}
