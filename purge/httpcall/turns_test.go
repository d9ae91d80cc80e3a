package httpcall_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge/httpcall"
)

func TestTurns_OfOneKeyAreOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, under := httpcall.NewTurns(), 0
		for range 3 {
			go func() {
				done, err := turns.Wait(t.Context(), "a")
				if err != nil {
					t.Error(err)
					return
				}
				defer done()
				if under++; under > 1 { // the race detector sees it as well
					t.Error("two have the turn at once")
				}
				time.Sleep(time.Second)
				under--
			}()
		}
		began := time.Now()
		synctest.Wait()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if took := time.Since(began); took != 3*time.Second || under != 0 {
			t.Errorf("after %s %d have the turn; want none after 3 s", took, under)
		}
	})
}

func TestTurns_WhoHasNoTimeLeftDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := httpcall.NewTurns()
		done, err := turns.Wait(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := turns.Wait(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v; want that the time is over", err)
		}
		done()
		if done, err = turns.Wait(t.Context(), "a"); err != nil {
			t.Errorf("after the turn: %v", err)
		}
		done()
	})
}
