package purge

import (
	"testing"
	"time"
)

// TestPatience_AHangingSourceIsAskedLessAndLess: each question costs its time-out.
func TestPatience_AHangingSourceIsAskedLessAndLess(t *testing.T) {
	for took, most := range map[time.Duration]int{time.Millisecond: 400, 30 * time.Second: 60} {
		var p patience
		n := 0
		for range 1000 {
			if p.ask() {
				n++
				p.asked(false, took)
			}
		}
		if n < sourceTries+1 || n > most {
			t.Errorf("%d questions about 1000 tenants, %s each; want at most %d", n, took, most)
		}
		for left := 1 << 20; !p.ask(); left-- {
			if left == 0 {
				t.Fatal("it is never asked again")
			}
		}
		if p.ask() {
			t.Error("a second question beside the one that is to tell")
		}
		p.asked(true, took)
		for range 10 {
			if !p.ask() {
				t.Error("it answered, and is not asked")
			}
		}
	}
}
