package api

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// verbose is an engine with a large plan for an answer of a pass.
type verbose struct {
	Engine
	passes atomic.Int64
}

func (v *verbose) Run(ctx context.Context, _ purge.Trigger) (purge.Report, error) {
	v.passes.Add(1)
	report, err := v.Plan(ctx)
	report.Error = strings.Repeat("x", store.MaxAnswer)
	return report, err
}

func TestIdempotency_AnAnswerTooLargeToKeepIsNotGivenAgainAndTheCallNotMadeAgain(t *testing.T) {
	engine := &verbose{}
	r := newRig(t, byName, func(o *Options) { engine.Engine, o.Engine = o.Engine, engine }).inProcess(t)
	for i, want := range []int{http.StatusOK, http.StatusConflict, http.StatusConflict} {
		res := by(t, r, "alice", "POST /api/v1/purges?wait=true", "", key("k"))
		if res.status != want || i > 0 && !strings.Contains(res.problem(t).Detail, "was made and answered with 200") {
			t.Errorf("call %d: %d %.300s", i, res.status, res.body)
		}
	}
	if n := engine.passes.Load(); n != 1 {
		t.Errorf("%d passes were made", n)
	}
}

func TestIdempotency_AnswersOutliveTheDaemonAndInterruptedCallsAreNotMadeAgain_G5(t *testing.T) {
	dir := t.TempDir()
	session := func(test func(r *rig)) {
		t.Helper()
		st, err := boltstore.Open(t.Context(), boltstore.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, byName, func(o *Options) { o.Store = st })
		r.transport = InProcess(r.watched(t))
		defer func() {
			r.transport.(*Local).Close()
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(r)
	}
	var first answered
	session(func(r *rig) {
		first = by(t, r, "alice", "POST /api/v1/tenants", `{"name":"one"}`, key("k"))
		// The daemon is killed while it makes another one.
		req, err := http.NewRequest(http.MethodPost, "http://purger/api/v1/tenants", nil)
		if err != nil {
			t.Fatal(err)
		}
		a := attemptOf(&request{Request: req, caller: Caller{Actor: store.Actor{ID: "alice"}}}, "k2", nil)
		if _, err := r.options.Store.(store.Replayer).BeginReplay(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	})
	session(func(r *rig) {
		same(t, first, by(t, r, "alice", "POST /api/v1/tenants", `{"name":"one"}`, key("k")))
		res := by(t, r, "alice", "POST /api/v1/tenants", "", key("k2"))
		if res.status != http.StatusConflict || res.header.Get("Retry-After") != "" || !strings.Contains(res.body, "the daemon ended before it did") {
			t.Errorf("the interrupted one: %d %s", res.status, res.body)
		}
		all, err := r.options.Store.Tenants(t.Context(), store.Filter{})
		if err != nil || len(all) != 1 {
			t.Errorf("%d tenants, %v", len(all), err)
		}
	})
}

func TestIdempotency_AnAnswerIsForgottenWithItsTenant_G13(t *testing.T) {
	dir := t.TempDir()
	st, err := boltstore.Open(t.Context(), boltstore.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := purge.New(purge.Options{Store: st, Settings: purge.DefaultSettings()})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, byName, func(o *Options) { o.Store, o.Engine = st, engine })
	r.transport = InProcess(r.watched(t))
	const name = "Secretname Incorporated"
	calls := []struct {
		what, body, again string
		status            int
	}{
		{"POST /api/v1/tenants", `{"id":"acme","name":"` + name + `","hostname":"secret.acme.example.com"}`, "acme", http.StatusCreated},
		{"POST /api/v1/tenants", `{"id":"child","parentId":"acme","name":"` + name + ` II"}`, "child", http.StatusCreated},
		{"POST /api/v1/tenants", `{"name":"` + name + ` III","parentId":"acme"}`, "", http.StatusCreated},
		{"POST /api/v1/tenants/acme/hold", `{"reason":"r"}`, "acme", http.StatusOK},
		{"DELETE /api/v1/tenants/acme/hold", "", "acme", http.StatusOK},
		{"POST /api/v1/tenants/acme/actions/deactivate", "", "acme", http.StatusOK},
		{"DELETE /api/v1/admin/tenants/acme", "", "", http.StatusOK},
	}
	first := make([]answered, len(calls))
	call := func(i int) answered {
		return by(t, r, "alice", calls[i].what, calls[i].body, key("k"+string(rune('a'+i))), "X-Confirm-Hostname: secret.acme.example.com")
	}
	for i, c := range calls {
		if first[i] = call(i); first[i].status != c.status {
			t.Fatalf("%s: %d %s", c.what, first[i].status, first[i].body)
		}
	}
	if !strings.Contains(first[6].body, name) {
		t.Errorf("the deletion tells no name: %s", first[6].body)
	}
	if _, err := st.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(dir, boltstore.FileName))
	if err != nil {
		t.Fatal(err)
	}
	for _, trace := range []string{"Secretname", "secret.acme"} {
		if bytes.Contains(file, []byte(trace)) {
			t.Errorf("%q is in the file after purge and compaction", trace)
		}
	}
	for i, c := range calls {
		res := call(i)
		if res.status != c.status || res.header.Get(client.HeaderReplayed) != "true" || res.header.Get("Location") != first[i].header.Get("Location") {
			t.Errorf("%s again: %d %v %s", c.what, res.status, res.header, res.body)
		}
		switch {
		case i == len(calls)-1: // all but the name
			if want := strings.Replace(first[i].body, name, "", 1); strings.TrimSpace(res.body) != strings.TrimSpace(want) {
				t.Errorf("%s again: %s", c.what, res.body)
			}
		case res.json(t)["status"] != "deleted" || !strings.Contains(res.body, "was purged since") || c.again != "" && res.json(t)["id"] != c.again:
			t.Errorf("%s again: %s", c.what, res.body)
		}
	}
	r.transport.(*Local).Close()
	if err := st.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}
