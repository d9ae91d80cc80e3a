package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// The members that answers have in states that few tests make.
func TestOpenAPI_AnswersWithMembersThatAreRare(t *testing.T) {
	r := newRig(t).inProcess(t)
	get := func(path, members string) {
		t.Helper()
		res := raw(t, r, "GET "+path, "")
		for _, name := range strings.Fields(members) {
			if !strings.Contains(res.body, `"`+name+`":`) {
				t.Errorf("%s: no %s: %s", path, name, res.body)
			}
		}
	}
	lines := strings.Join([]string{
		`{"type":"tenant","id":"held","status":"disabled","disabledAt":"2026-01-05T10:00:00.000Z","estimatedPurgeDate":"2026-02-04T10:00:00.000Z","disabledBy":{"id":"u-7"},` +
			`"hold":{"reason":"litigation","since":"2026-01-06T08:00:00.000Z","until":"2200-01-01T00:00:00.000Z","actor":{"id":"u-8"}}}`,
		`{"type":"tenant","id":"parent","status":"active","reactivatedAt":"2026-01-05T10:00:00.000Z"}`, `{"type":"tenant","id":"child","parentId":"parent","status":"active"}`,
	}, "\n")
	if res := raw(t, r, "POST /api/v1/import", lines, "Content-Type: application/x-ndjson"); !strings.Contains(res.body, `"complete":true`) {
		t.Fatal(res.body)
	}
	raw(t, r, "POST /api/v1/purges?wait=true", "")
	get("/api/v1/tenants/held", "block")

	r.disable(t, 0, "child")
	o := store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}
	claim, err := r.store.Claim(t.Context(), "child", store.ClaimRequest{Origin: o, Owner: "test", Lease: time.Hour, Trigger: "api", Immediate: true})
	if err == nil {
		err = r.store.Record(t.Context(), claim.Token, store.Advance{At: o.At, Lease: time.Hour, Target: "crm", Account: true,
			Counted: &store.Counts{Users: 99}, Gone: store.Counts{Users: 1}, Unaccounted: &store.Unaccounted{At: store.Timestamp{Time: o.At}, Counts: store.Counts{Users: -9}},
			Planned: store.Counts{Users: 90}, Deleted: store.Counts{Users: 90}, LowerBounds: []store.LowerBound{{Target: "crm", Kind: store.KindUser}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	get("/api/v1/tenants/child", "leaseEnd trigger immediate targets countsInexact lowerBounds accounts counted gone unaccounted")
	if err := r.store.Await(t.Context(), claim.Token, store.Wait{At: o.At, Until: o.At, For: []store.Awaited{{Target: "crm", Reason: "window"}}}); err != nil {
		t.Fatal(err)
	}
	get("/api/v1/tenants/child", "nextAttempt awaits")
	claim, err = r.store.Resume(t.Context(), "child", store.ClaimRequest{Origin: store.Origin{Actor: o.Actor, At: time.Now()}, Owner: "test", Lease: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Finish(t.Context(), claim.Token, store.Verification{
		At: time.Now(), Targets: []string{"crm"}, Unaccounted: map[string]store.Counts{"crm": {Users: -9}}}); err != nil {
		t.Fatal(err)
	}
	get("/api/v1/receipts/child", "parentId targets lowerBounds unaccounted")

	run := store.Run{ID: "broken", Trigger: "api", StartedAt: store.Timestamp{Time: o.At}, FinishedAt: store.Timestamp{Time: o.At}, Result: "error", Error: "the disk is gone"}
	if err := r.store.RecordRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	get("/api/v1/purges/broken", "error")
	if err := r.store.BeginImport(t.Context(), store.Import{Digest: strings.Repeat("0", 64), Since: store.Timestamp{Time: o.At}}, o); err != nil {
		t.Fatal(err)
	}
	get("/api/v1/status", "import digest since")
}

// A plan under a gate that is closed tells of the limit behind it.
func TestOpenAPI_AnswerOfAPlanUnderAClosedGate(t *testing.T) {
	r := newRig(t, withSettings(t, func(s *purge.Settings) { s.Limits = store.Limits{PerDay: 1} })).inProcess(t)
	r.create(t, client.NewTenant{ID: "a"}, client.NewTenant{ID: "b"})
	r.disable(t, days(11), "a", "b")
	raw(t, r, "POST /api/v1/pause", `{"reason":"migration"}`)
	res := raw(t, r, "GET /api/v1/plan", "")
	var report purge.Report
	if err := json.Unmarshal([]byte(res.body), &report); err != nil {
		t.Fatalf("%v: %s", err, res.body)
	}
	if g := report.Gate; g == nil || g.Reason != store.GatePaused {
		t.Errorf("gate %+v: %s", g, res.body)
	}
	if h := report.Halt; h == nil || h.Reason != store.GateHalted || len(report.Tenants) != 1 {
		t.Errorf("halt %+v: %s", h, res.body)
	}
}

// fullDisk is a store on a disk without room.
type fullDisk struct{ store.Store }

// Gates implements [store.Store].
func (f fullDisk) Gates(ctx context.Context) (store.Gates, error) {
	g, err := f.Store.Gates(ctx)
	g.Space = &store.Space{Dir: "/var/lib/purger", Free: 20 << 20, Want: 64 << 20}
	return g, err
}

func TestOpenAPI_AnswerAboutAStoreWithoutRoom(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Store = fullDisk{o.Store} }).inProcess(t)
	res := raw(t, r, "GET /api/v1/status", "")
	for _, want := range []string{
		`"space":{"dir":"/var/lib/purger","free":20971520,"want":67108864}`,
		`"closed":[{"reason":"space","detail":"the disk of /var/lib/purger has 20.0 MiB of room, want 64.0 MiB"}]`,
	} {
		if !strings.Contains(res.body, want) {
			t.Errorf("no %s: %s", want, res.body)
		}
	}
}

// defective is a store with a defect.
type defective struct{ store.Store }

func (defective) Check(context.Context) error { return errors.New("tenant acme is in no tree") }

func TestOpenAPI_AnswerAboutADefectiveStore(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Store = defective{o.Store} }).inProcess(t)
	if res := raw(t, r, "POST /api/v1/store/check", ""); res.status != http.StatusOK || !strings.Contains(res.body, `"defects":["tenant acme`) {
		t.Errorf("status %d: %s", res.status, res.body)
	}
}

// A pass that fails at a tenant tells why.
func TestOpenAPI_AnswerOfAPassThatFailed(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Engine = &failingPass{o.Engine} }).inProcess(t)
	res := raw(t, r, "POST /api/v1/purges?wait=true", "")
	if res.status != http.StatusOK || !strings.Contains(res.body, `"error":"the system crm`) {
		t.Errorf("status %d: %s", res.status, res.body)
	}
}

// failingPass is an engine whose passes fail at a tenant.
type failingPass struct{ Engine }

// Run implements Engine.
func (f *failingPass) Run(ctx context.Context, trigger purge.Trigger) (purge.Report, error) {
	report, err := f.Plan(ctx)
	report.Trigger, report.Result = trigger, purge.ResultPartial
	report.Tenants = []purge.Row{{ID: "acme", Outcome: purge.OutcomeFailed, Error: "the system crm does not answer",
		EstimatedPurgeDate: store.Timestamp{Time: time.Now()}}}
	report.Totals.Failed = 1
	return report, err
}
