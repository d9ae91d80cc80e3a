package httpcall_test

import (
	"strconv"
	"testing"

	"github.com/tenantpurge/purger/purge/httpcall"
)

// TestCircle_IsNoticedWhereverItBegins has lists with a way into a circle, and one
// without a circle.
func TestCircle_IsNoticedWhereverItBegins(t *testing.T) {
	for _, way := range []int{0, 1, 2, 7, 100} {
		for _, round := range []int{1, 2, 3, 64, 1000} {
			var c httpcall.Circle
			n := 0
			for ; !c.Back(strconv.Itoa(position(n, way, round))); n++ {
				if n > 4*(way+round) {
					t.Fatalf("a circle of %d behind %d pages is not noticed in %d", round, way, n)
				}
			}
			if n < way+round {
				t.Errorf("a circle of %d behind %d pages is seen at page %d, where nothing has come twice", round, way, n)
			}
		}
	}
	var c httpcall.Circle
	for n := range 100_000 {
		if c.Back(strconv.Itoa(n)) {
			t.Fatalf("page %d is new, and is taken for one that has been", n)
		}
	}
	if c = (httpcall.Circle{}); c.Back("") || !c.Back("") {
		t.Error("the empty position: want it to be one as any other")
	}
}

// position returns the n-th of a list that goes round behind some pages.
func position(n, way, round int) int {
	if n < way {
		return n
	}
	return way + (n-way)%round
}
