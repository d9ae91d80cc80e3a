package killtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// clients is how many change tenants side by side, each those of its own trees.
const clients = 6

// killChanges kills a daemon that many clients work with while passes run.
func (l *loop) killChanges() {
	l.t.Helper()
	l.hits[stepChanges].tries++
	d := l.serve()
	if l.rng.IntN(2) == 0 {
		l.await(d)
		l.something()
	}
	wait := l.startClients(d)
	p := l.start(d, "run", "-o", "json")
	d.endsWithin(time.Duration(l.rng.Int64N(int64(60 * time.Millisecond))))
	d.killGroup(l.t)
	wait()
	l.passEnded(p)
}

// startClients lets clients change tenants until the daemon is gone. The
// function that it returns waits for that.
func (l *loop) startClients(d *process) (wait func()) {
	roots := l.oracle.roots()
	l.rng.Shuffle(len(roots), func(i, j int) { roots[i], roots[j] = roots[j], roots[i] })
	var work sync.WaitGroup
	all := make([]*caller, clients)
	for i := range all {
		c := &caller{oracle: l.oracle, rng: rand.New(rand.NewPCG(l.rng.Uint64(), 0)), name: fmt.Sprintf("c%d-%d", d.cmd.Process.Pid, i)}
		for j := i; j < len(roots); j += clients {
			c.roots = append(c.roots, roots[j])
		}
		all[i] = c
		work.Go(func() { c.err = c.work(filepath.Join(l.data, client.SocketName)) })
	}
	return func() {
		l.t.Helper()
		work.Wait()
		acknowledged, unanswered := 0, 0
		for _, c := range all {
			acknowledged += c.acknowledged
			unanswered += c.unanswered
			if c.err != nil {
				l.fail("a client: %v", c.err)
			}
		}
		l.note("clients: %d changes acknowledged, %d not answered", acknowledged, unanswered)
		if acknowledged > 0 && unanswered > 0 {
			l.hits[stepChanges].hits++
		}
	}
}

// caller changes tenants until its daemon is gone.
type caller struct {
	oracle *oracle
	rng    *rand.Rand
	name   string
	roots  []*tenant // no other client changes these
	made   int

	acknowledged, unanswered int
	err                      error // what no daemon may answer
}

// errGone is for a daemon that answers no more.
var errGone = errors.New("the daemon is gone")

func (c *caller) work(socket string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := client.Dial(ctx, socket)
	if errors.Is(err, client.ErrNotReachable) {
		return nil // it was killed before
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		if err := c.change(ctx, conn); errors.Is(err, errGone) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// change makes one change that the state of a tenant allows.
func (c *caller) change(ctx context.Context, conn *client.Client) error {
	if len(c.roots) == 0 || c.rng.IntN(8) == 0 {
		return c.create(ctx, conn)
	}
	i := c.rng.IntN(len(c.roots))
	t := c.roots[i]
	now := time.Now()
	due := t.spec.status == store.StatusDisabled && !now.Before(t.spec.date())
	p := op{at: now}
	switch n := c.rng.IntN(4); {
	case t.spec.held && n == 0:
		p.action = store.ActionRelease
	case t.spec.held:
		p.action = store.ActionHold // another one
	case t.spec.status == store.StatusActive:
		p.action, p.days = store.ActionDeactivate, 10+c.rng.IntN(81)
	case due && n < 2 || n == 0:
		p.action = store.ActionReactivate
	case due || n == 1:
		p.action = store.ActionHold
	case n == 2 && purgeable(t, true, nil):
		return c.delete(ctx, conn, i)
	default:
		p.action, p.days = store.ActionDeactivate, 10+c.rng.IntN(81)
	}
	c.oracle.asks(t, p)
	date, err := send(ctx, conn, t.id, p)
	switch code := store.CodeOf(err); {
	case err == nil:
		c.oracle.acknowledges(t, p, date)
		c.acknowledged++
		return nil
	case errors.Is(err, client.ErrNotReachable):
		c.oracle.withdraws(t, p)
		return errGone
	case code == store.Unavailable:
		c.unanswered++
		return errGone
	case code == store.Gone, code == store.Precondition:
		c.oracle.refuses(t, p, err)
		c.roots = append(c.roots[:i], c.roots[i+1:]...)
		return nil
	}
	return fmt.Errorf("%s of %s: %w", p.action, t.id, err)
}

// send makes a change through the daemon, and returns the date that it promises.
func send(ctx context.Context, conn *client.Client, id string, p op) (time.Time, error) {
	var err error
	switch p.action {
	case store.ActionDeactivate:
		var d client.Deactivated
		d, err = conn.Deactivate(ctx, id, client.DeactivateRequest{PurgeAfterDays: &p.days})
		return d.EstimatedPurgeDate.Time, err
	case store.ActionReactivate:
		_, err = conn.Reactivate(ctx, id)
	case store.ActionHold:
		_, err = conn.Hold(ctx, id, client.HoldRequest{Reason: "litigation"})
	default:
		_, err = conn.Release(ctx, id)
	}
	return time.Time{}, err
}

// create registers a new tenant.
func (c *caller) create(ctx context.Context, conn *client.Client) error {
	c.made++
	t := &tenant{id: fmt.Sprintf("%s-%d", c.name, c.made), spec: spec{status: store.StatusActive}}
	p := op{action: store.ActionCreate, at: time.Now()}
	c.oracle.expect(t)
	c.oracle.asks(t, p)
	_, err := conn.Create(ctx, client.NewTenant{ID: t.id})
	switch {
	case err == nil:
		c.oracle.acknowledges(t, p, time.Time{})
		c.acknowledged++
		c.roots = append(c.roots, t)
		return nil
	case store.CodeOf(err) == store.Unavailable:
		c.unanswered++
		return errGone
	}
	return fmt.Errorf("create %s: %w", t.id, err)
}

// delete purges a tenant before its date.
func (c *caller) delete(ctx context.Context, conn *client.Client, i int) error {
	t := c.roots[i]
	c.oracle.asksDelete(t)
	d, err := conn.Delete(ctx, t.id, 0)
	var gate *store.GateError
	var blocked *store.BlockedError
	switch {
	case err == nil:
		c.oracle.purgedTop(t.id, d.Data.ResourcesDeleted)
		c.acknowledged++
		c.roots = append(c.roots[:i], c.roots[i+1:]...)
		return nil
	case errors.As(err, &gate), // an import is under way
		errors.As(err, &blocked) && blocked.Block.Reason == store.BlockPurging: // a pass has a sub-tenant in its hands
		c.oracle.withdrawsDelete(t)
		return nil
	case errors.Is(err, client.ErrNotReachable):
		c.oracle.withdrawsDelete(t)
		return errGone
	case store.CodeOf(err) == store.Unavailable:
		c.unanswered++
		return errGone
	}
	return fmt.Errorf("delete %s: %w", t.id, err)
}
