package oauthtarget

import (
	"context"
	"sync"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// each calls fn for clients, several at a time, and returns how often it said yes.
// It begins nothing more, and left is true, when enough says so; nil never does.
// After an error it begins nothing more, and waits for what is under way. It
// reports the error that is [httpcall.Graver].
func (t *Target) each(ctx context.Context, clients []Client, enough func(int64) bool, fn func(context.Context, Client) (bool, error)) (n int64, left bool, err error) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		next int
	)
	take := func() *Client {
		mu.Lock()
		defer mu.Unlock()
		if err != nil || left || next == len(clients) {
			return nil
		}
		if left = next > 0 && enough != nil && enough(n); left {
			return nil
		}
		next++
		return &clients[next-1]
	}
	for range min(t.cfg.Parallel, len(clients)) {
		wg.Go(func() {
			for c := take(); c != nil; c = take() {
				yes, fail := t.locked(ctx, *c, fn)
				mu.Lock()
				if yes {
					n++
				}
				if fail != nil {
					err = httpcall.Graver(err, fail)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return n, left, err
}

// locked calls fn while nobody else deals with the same client: a token may be
// replaced by each call, and what a DELETE did is to be known before the next.
func (t *Target) locked(ctx context.Context, c Client, fn func(context.Context, Client) (bool, error)) (bool, error) {
	done, err := t.turns.Wait(ctx, c.URI)
	if err != nil {
		return false, store.Errorf(store.Unavailable, "waiting for another call about client %s: %v", httpcall.Hashed(c.ID), err)
	}
	defer done()
	return fn(ctx, c)
}
