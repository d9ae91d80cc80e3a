package api

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A pause that ends earlier than the one in force is a resume: where that takes two
// people, one must not have it by the other name.
func TestApprovals_AShorterPauseIsNoWayAroundAResume(t *testing.T) {
	const short, long = `{"reason":"short","until":"2100-01-01T00:00:00Z"}`, `{"reason":"long","until":"2101-01-01T00:00:00Z"}`
	for _, c := range []struct {
		first, then string
		people      int
		status      int
	}{
		{long, short, 2, 409}, {`{"reason":"open"}`, long, 2, 409},
		{long, short, 1, 200}, {`{"reason":"open"}`, long, 1, 200},
		{short, long, 2, 200}, {long, `{"reason":"open"}`, 2, 200}, {long, long, 2, 200},
	} {
		r := newRig(t, byName, func(o *Options) {
			o.Approvals = func() Approvals { return Approvals{Delete: 1, Resume: c.people, Expire: time.Hour} }
		}).inProcess(t)
		if res := by(t, r, "alice", "POST /api/v1/pause", c.first); res.status != http.StatusOK {
			t.Fatalf("pause: %d %s", res.status, res.body)
		}
		before, err := r.store.Gates(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		res := by(t, r, "alice", "POST /api/v1/pause", c.then)
		after, err := r.store.Gates(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		kept := after.Digest() == before.Digest()
		taken := strings.Contains(c.then, `"`+after.Pause.Reason+`"`)
		if res.status != c.status || res.status == http.StatusOK && !taken || res.status != http.StatusOK && !kept {
			t.Errorf("%s, then %s, with %d people: %d %s%+v", c.first, c.then, c.people, res.status, res.body, after.Pause)
		}
		if c.status == http.StatusConflict && !strings.Contains(res.problem(t).Detail, "resume") {
			t.Errorf("%s", res.body)
		}
	}
}
