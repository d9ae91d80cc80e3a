package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// exposition returns what a scrape gets, one series a line.
func exposition(t *testing.T, reg prometheus.Gatherer) string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// has fails unless the exposition has each line.
func has(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(text, "\n"+l+"\n") {
			name, _, _ := strings.Cut(l, " ")
			found := "nothing"
			if _, rest, ok := strings.Cut(text, "\n"+name+" "); ok {
				found, _, _ = strings.Cut(rest, "\n")
			}
			t.Errorf("want %s, got %s", l, found)
		}
	}
}

func open(t *testing.T, dir string) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(context.Background(), boltstore.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// fill puts into the store: marker-active; marker-due-1, -2 and -3, due for a
// day, the last one on hold; marker-later, with ten days to go.
func fill(t *testing.T, s store.Store, now time.Time) {
	t.Helper()
	ctx := context.Background()
	who := store.Actor{ID: "marker-actor"}
	for _, id := range []string{"marker-active", "marker-due-1", "marker-due-2", "marker-due-3", "marker-later"} {
		_, err := s.Create(ctx, store.Tenant{ID: id, Name: "marker-name", Hostname: "marker-host"}, store.Origin{Actor: who, At: now.AddDate(0, 0, -40)})
		if err != nil {
			t.Fatal(err)
		}
		change := func(at time.Time, c store.Change) {
			t.Helper()
			if _, err := s.Update(ctx, id, store.Update{Origin: store.Origin{Actor: who, At: at}, Change: c}); err != nil {
				t.Fatal(err)
			}
		}
		switch {
		case strings.HasPrefix(id, "marker-due"):
			change(now.AddDate(0, 0, -11), store.Deactivate(10, store.Grace{}, nil))
		case id == "marker-later":
			change(now, store.Deactivate(10, store.Grace{}, nil))
		}
		if id == "marker-due-3" {
			change(now, store.SetHold("marker-reason", time.Time{}))
		}
	}
}

func TestWatchStore_TellsTheLifeOfARealStore(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	now := store.Trim(time.Now())
	s := open(t, dir)
	m, reg := fresh(t)
	m.WatchStore(s)
	fill(t, s, now)
	text := exposition(t, reg)
	has(t, text,
		`purger_tenants{status="active"} 1`, `purger_tenants{status="disabled"} 4`, `purger_tenants{status="deleted"} 0`,
		`purger_tenants_due 3`, `purger_tenants_blocked{reason="hold"} 0`, `purger_paused 0`,
		fmt.Sprintf("purger_next_purge_timestamp_seconds %v", timestamp(now.AddDate(0, 0, 10))))
	if strings.Contains(text, "purger_store_size_bytes 0\n") {
		t.Error("the file has no size")
	}

	req := store.ClaimRequest{Origin: store.Origin{Actor: store.Actor{ID: "marker-actor"}, At: now},
		Owner: "marker-owner", Lease: time.Minute, Inline: true, Quota: store.NewQuota(1)}
	if c, err := s.Claim(ctx, "marker-due-1", req); err != nil || c.Receipt == nil {
		t.Fatalf("the claim: %+v, %v", c, err)
	}
	var blocked *store.BlockedError
	if _, err := s.Claim(ctx, "marker-due-3", req); !errors.As(err, &blocked) {
		t.Fatalf("a tenant on hold: %v", err)
	}
	has(t, exposition(t, reg),
		`purger_tenants{status="disabled"} 3`, `purger_tenants{status="deleted"} 1`, `purger_tenants_due 1`,
		`purger_tenants_blocked{reason="hold"} 1`, `purger_halted{reason="limits.perPass"} 0`)

	if _, err := s.Claim(ctx, "marker-due-2", req); store.CodeOf(err) != store.Exhausted {
		t.Fatalf("beyond the quota: %v", err)
	}
	if _, err := s.ChangeGates(ctx, store.PausePurging("marker-reason", time.Time{}), req.Origin); err != nil {
		t.Fatal(err)
	}
	err := s.RecordRun(ctx, store.Run{ID: "marker-run", Trigger: "run", Result: "ok", FinishedAt: store.Timestamp{Time: now}})
	if err != nil {
		t.Fatal(err)
	}
	m.RunFinished("run", "ok", now, now)
	text = exposition(t, reg)
	last := fmt.Sprintf("purger_last_success_timestamp_seconds %v", timestamp(now))
	has(t, text, `purger_halted{reason="limits.perPass"} 1`, `purger_halted{reason="limits.perDay"} 0`, `purger_paused 1`, last)
	if at := strings.Index(text, "marker"); at >= 0 {
		t.Errorf("something of a tenant is in the metrics: %.200s", text[at:])
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := reg.Gather(); err == nil {
		t.Error("the scrape of a closed store is no error")
	}
	m, reg = fresh(t)
	m.WatchStore(open(t, dir))
	has(t, exposition(t, reg), last, `purger_tenants{status="deleted"} 1`, `purger_halted{reason="limits.perPass"} 1`)
}
