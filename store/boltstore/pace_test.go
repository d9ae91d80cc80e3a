package boltstore

import (
	"sync"
	"testing"
	"time"
)

func TestPace_BackgroundIsCutWhilePeopleCome(t *testing.T) {
	p := pace{last: epoch}
	for _, c := range []struct {
		after, cost, want time.Duration
	}{
		{courtesy, time.Millisecond, 16 * time.Millisecond},
		{courtesy - 1, time.Millisecond, courtesyTenths * time.Millisecond / 10},
		{courtesy - 1, time.Second, 16 * time.Millisecond},
		{courtesy - 1, 0, 16 * time.Millisecond / courtesyLeast},
	} {
		p.cost = c.cost
		if got := p.target(epoch.Add(c.after), 16*time.Millisecond); got != c.want {
			t.Errorf("%v after a change that cost %v: %v, want %v", c.after, c.cost, got, c.want)
		}
	}
}

// A few slow commits, on a disk that others use, must not make the purge's
// transactions long.
func TestPace_IsNotCarriedAwayByAFewSlowCommits(t *testing.T) {
	var p pace
	for i := range 200 {
		took := time.Millisecond
		if i%5 == 4 {
			took = time.Second
		}
		p.learn(took)
	}
	if p.cost < time.Millisecond/2 || p.cost > 2*time.Millisecond {
		t.Errorf("after 1 ms, and 1 s every fifth time, a change is thought to cost %v", p.cost)
	}
}

// queued queues changes that note the transaction in which they ran, while the
// writer is held up, and returns their notes in the order in which they ran.
func (f *fixture) queued(classes ...class) (ran []class, txs []int) {
	f.t.Helper()
	release := f.holdWriter()
	var wg sync.WaitGroup
	for _, c := range classes {
		in := make(chan struct{})
		wg.Go(func() {
			err := f.writeQueued(f.t.Context(), c, func() { close(in) }, func(w *wtx) error {
				ran, txs = append(ran, c), append(txs, w.tx.ID())
				w.noteErased(epoch)
				w.writes++
				return nil
			})
			if err != nil {
				f.t.Error(err)
			}
		})
		<-in
	}
	release()
	wg.Wait()
	return ran, txs
}

// Neither side waits for a transaction of the other.
func TestWrite_PeopleGoFirstAndShareTheTransactionOfAPurge(t *testing.T) {
	f := newFixture(t)
	ran, txs := f.queued(background, foreground, background, foreground)
	if ran[0] != foreground || ran[1] != foreground {
		t.Errorf("ran %v, want people (%d) first", ran, foreground)
	}
	if txs[0] != txs[3] {
		t.Errorf("ran in the transactions %v, want one", txs)
	}
}

// However many people come, a purge goes on.
func TestWrite_PeopleDoNotStarveAPurge(t *testing.T) {
	f := newFixture(t)
	f.opt.TxTarget = time.Nanosecond
	classes := []class{background}
	for range maxShared + 100 {
		classes = append(classes, foreground)
	}
	ran, txs := f.queued(classes...)
	for i, c := range ran {
		if c == background && txs[i] != txs[0] {
			t.Errorf("the purge waited until change %d, for another transaction", i)
		}
	}
}
