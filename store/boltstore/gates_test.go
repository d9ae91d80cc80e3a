package boltstore

import (
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

// A commit holds memMu for as long as the disk takes to sync. Readiness reads
// the gates, and a slow disk must not make it fail.
func TestGates_DoNotWaitForACommit(t *testing.T) {
	f := newFixture(t)
	_, err := f.ChangeGates(t.Context(), store.PausePurging("slow", time.Time{}), at(epoch))
	f.must(err)
	f.memMu.Lock()
	defer f.memMu.Unlock()
	type answer struct {
		gates store.Gates
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		g, err := f.Gates(t.Context())
		answers <- answer{g, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil || a.gates.Pause == nil || a.gates.Pause.Reason != "slow" {
			t.Errorf("%+v, %v", a.gates, a.err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the gates wait")
	}
}
