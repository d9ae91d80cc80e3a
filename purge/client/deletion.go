package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tenantpurge/purger/store"
)

// pollEvery is how often a deletion that takes long is looked at.
const pollEvery = time.Second

// Delete purges a tenant and its subtree now, and waits for the end however long
// it takes. version, when not 0, must be the record's. When ctx ends, the waiting
// does and not the deletion.
func (c *Client) Delete(ctx context.Context, id string, version int64, options ...CallOption) (Deletion, error) {
	q := url.Values{}
	if version != 0 {
		q.Set("version", strconv.FormatInt(version, 10))
	}
	var out Deletion
	path := "/admin" + tenantPath(id)
	res, err := c.exchange(ctx, http.MethodDelete, path, q, nil, options...)
	if err != nil {
		return out, err
	}
	if res.StatusCode != http.StatusAccepted {
		err := decode(ctx, http.MethodDelete, path, res, &out)
		return out, err
	}
	p, err := c.await(ctx, res)
	if err == nil {
		err = json.Unmarshal(p.Result, &out)
	}
	return out, err
}

// DeleteDisabled is Delete for a tenant that is disabled and has the version.
func (c *Client) DeleteDisabled(ctx context.Context, id string, version int64, options ...CallOption) error {
	q := url.Values{"version": {strconv.FormatInt(version, 10)}}
	res, err := c.exchange(ctx, http.MethodDelete, tenantPath(id), q, nil, options...)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusAccepted {
		return decode(ctx, http.MethodDelete, tenantPath(id), res, nil)
	}
	_, err = c.await(ctx, res)
	return err
}

// Purge returns a deletion that runs or has ended lately, or a pass.
func (c *Client) Purge(ctx context.Context, id string) (Purge, error) {
	return call[Purge](ctx, c, http.MethodGet, "/purges/"+url.PathEscape(id), nil, nil)
}

// await waits for the end of a deletion whose answer only says that it runs. The
// error is that of the deletion, too.
func (c *Client) await(ctx context.Context, res *http.Response) (Purge, error) {
	var p Purge
	if err := decode(ctx, http.MethodDelete, "/tenants", res, &p); err != nil {
		return p, err
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for p.Status == PurgeRunning {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return p, store.Errorf(store.Unavailable, "the deletion %s goes on: %w", p.ID, context.Cause(ctx))
		}
		var err error
		if p, err = c.Purge(ctx, p.ID); store.CodeOf(err) == store.NotFound {
			return p, store.Errorf(store.Unavailable, "what became of the deletion is not known: the daemon was started anew; if it had begun, it goes on by itself")
		} else if err != nil {
			return p, err
		}
	}
	if p.Error != nil {
		status, _ := strconv.Atoi(p.Error.Status)
		return p, p.Error.err(status)
	}
	return p, nil
}
