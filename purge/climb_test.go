package purge

import (
	"fmt"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

// asked is a context that calls itself when it is asked whether it has ended,
// which a climb does once for each tenant that it looks at.
type asked func()

func (asked) Deadline() (end time.Time, ok bool) { return end, false }
func (asked) Done() <-chan struct{}              { return nil }
func (asked) Value(any) any                      { return nil }
func (a asked) Err() error                       { a(); return nil }

func TestClimb_EntersALineBelowWhatWasTriedBefore(t *testing.T) {
	p := &pass{tried: map[string]*trial{}, surveys: map[string]*survey{}}
	var line []string
	for i := range 5000 {
		line = append(line, fmt.Sprint("above-", i))
	}
	surveyed := &survey{blocks: map[string]store.Block{}}
	surveyed.once.Do(func() {})
	p.surveys[line[0]] = surveyed
	var tried []string
	climb := func(n int) int {
		times := 0
		ctx := asked(func() { times++ })
		c := candidate{Candidate: store.Candidate{Cursor: store.Cursor{At: time.Now(), ID: fmt.Sprint("leaf-", n)}, DueAbove: line[:n]}}
		p.climb(ctx, c, climber{try: func(id string, _ bool) bool {
			tried = append(tried, id)
			return false
		}})
		return times
	}
	climb(4000)
	if len(tried) != 4001 || tried[0] != line[0] || tried[3999] != line[3999] || tried[4000] != "leaf-4000" {
		t.Fatalf("tried %d, from %s", len(tried), tried[0])
	}
	for _, n := range []int{4000, 3000, 4002} {
		tried = nil
		if times := climb(n); times > 12 {
			t.Errorf("below %d that were tried, %d tenants were looked at", n, times)
		}
	}
	if len(tried) != 3 || tried[0] != line[4000] || tried[2] != "leaf-4002" {
		t.Errorf("tried %q", tried)
	}
}
