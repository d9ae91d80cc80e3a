package store

import (
	"fmt"
	"testing"
	"time"
)

func TestSpace_SaysHowMuchIsFreeAndHowMuchIsWanted(t *testing.T) {
	s := Space{Dir: "/var/lib/purger", Free: 16<<20 + 1<<19 - 1, Want: 64 << 20}
	err := fmt.Errorf("claim: %w", &SpaceError{Space: s})
	want := "the disk of /var/lib/purger has 16.4 MiB of room, want 64.0 MiB"
	if err.Error() != "claim: "+want || CodeOf(err) != Exhausted {
		t.Errorf("%s: %v", CodeOf(err), err)
	}
	g := Gates{Import: &Import{}, Space: &s}
	closed := g.Closed(time.Now())
	if len(closed) != 2 || closed[1] != (Gate{GateSpace, want}) || closed[1] != (&SpaceError{Space: s}).Gate() {
		t.Errorf("%+v", closed)
	}
}
