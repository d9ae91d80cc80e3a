package postgrestarget_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// tap listens to what a target sends. A connection on which it sends the word gets no
// answer from then on, until release.
type tap struct {
	word    []byte
	release chan struct{}

	mu   sync.Mutex
	sent map[*tapped][]byte // on the connections that get no answer
}

// tapped is a connection with a tap on it.
type tapped struct {
	net.Conn
	tap *tap
}

func (c *tapped) Write(b []byte) (int, error) {
	c.tap.mu.Lock()
	if sent, held := c.tap.sent[c]; held || bytes.Contains(b, c.tap.word) {
		c.tap.sent[c] = append(sent, b...)
	}
	c.tap.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.tap.mu.Lock()
	_, held := c.tap.sent[c]
	c.tap.mu.Unlock()
	if held {
		<-c.tap.release
	}
	return n, err
}

// attach has every connection of a pool go through the tap.
func (p *tap) attach(c *pgxpool.Config) {
	dial := c.ConnConfig.DialFunc
	c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &tapped{conn, p}, nil
	}
}

// missing returns which of the texts were not sent, on the one connection that gets no
// answer.
func (p *tap) missing(texts []string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sent := range p.sent {
		return slices.DeleteFunc(slices.Clone(texts), func(text string) bool { return bytes.Contains(sent, []byte(text)) })
	}
	return texts
}

// queued is a context that tells when a call waits: a target looks whether it has
// ended once before that.
type queued struct {
	context.Context //nolint:containedctx // it is one
	once            sync.Once
	waits           chan struct{}
}

func (q *queued) Done() <-chan struct{} {
	q.once.Do(func() { close(q.waits) })
	return q.Context.Done()
}

// lanes is how many groups of calls are under way at most: beyond, calls gather.
const lanes = 4

// piped has calls of all kinds gather, for a tenant each, and fails unless their
// statements are all sent before the first of them is answered. call makes one, which
// a lock holds up for the tenants held0, held1, ....
func piped(t *testing.T, b *bench, p *tap, lock string, call func(ctx context.Context, tenant string, kind store.Kind)) {
	t.Helper()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(p.release)
	var tenants []string
	b.holding(t, lock, func(commit func()) {
		for i := range lanes {
			wg.Go(func() { call(t.Context(), fmt.Sprint("held", i), store.KindUser) })
			b.waiting(t, i+1)
		}
		for _, kind := range store.Kinds() {
			q := &queued{Context: t.Context(), waits: make(chan struct{})}
			tenant := fmt.Sprint("piped-", kind)
			tenants = append(tenants, tenant)
			wg.Go(func() { call(q, tenant, kind) })
			<-q.waits
		}
		commit()
	})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(15 * time.Second); ; <-tick.C {
		missing := p.missing(tenants)
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("without an answer to the first statement those for %q were not sent", missing)
		}
	}
}

// newPiped returns a target with a tap, and rows for the calls of [piped].
func newPiped(t *testing.T) (*bench, *tap) {
	t.Helper()
	p := &tap{word: []byte("piped-"), release: make(chan struct{}), sent: map[*tapped][]byte{}}
	b := setUp{
		config:  func(c *postgrestarget.Config) { c.LockTimeout = 30 * time.Second },
		options: postgrestarget.Options{Pool: p.attach},
	}.make(t)
	for _, kind := range store.Kinds() {
		b.add(t, fmt.Sprint("piped-", kind), kind, 3)
		if n, err := b.Count(t.Context(), "nobody", kind); n != 0 || err != nil {
			t.Fatalf("Count = %d, %v", n, err)
		}
	}
	for i := range lanes {
		b.add(t, fmt.Sprint("held", i), store.KindUser, 3)
	}
	return b, p
}

// TestPurge_SeveralKindsArePipelined: what tenants have of several kinds goes in one
// transaction, and no statement waits for the answer to the one before.
func TestPurge_SeveralKindsArePipelined(t *testing.T) {
	b, p := newPiped(t)
	piped(t, b, p, "SELECT FROM users WHERE tenant_id LIKE 'held%' FOR UPDATE", func(ctx context.Context, tenant string, kind store.Kind) {
		if did, err := b.Purge(ctx, purge.Request{TenantID: tenant, Kind: kind, Limit: all}); err != nil || did != (purge.Removed{Deleted: 3}) {
			t.Errorf("Purge(%s) = %+v, %v", tenant, did, err)
		}
	})
	if n := b.server.Int(t, b.db, "SELECT count(DISTINCT batch) FROM purger_ledger WHERE kind <> 'user'"); n != 1 {
		t.Errorf("the kinds went in %d transactions, want 1", n)
	}
}

// TestCount_SeveralKindsArePipelined: so it is with counts.
func TestCount_SeveralKindsArePipelined(t *testing.T) {
	b, p := newPiped(t)
	piped(t, b, p, "LOCK TABLE users IN ACCESS EXCLUSIVE MODE", func(ctx context.Context, tenant string, kind store.Kind) {
		if n, err := b.Count(ctx, tenant, kind); n != 3 || err != nil {
			t.Errorf("Count(%s) = %d, %v", tenant, n, err)
		}
	})
}
