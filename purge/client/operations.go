package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// Plan returns what a pass would do now.
func (c *Client) Plan(ctx context.Context) (purge.Report, error) {
	return call[purge.Report](ctx, c, http.MethodGet, "/plan", nil, nil)
}

// Run makes a pass and waits for its report. trigger is
// [purge.TriggerAPI] or [purge.TriggerRun].
func (c *Client) Run(ctx context.Context, trigger purge.Trigger) (purge.Report, error) {
	q := url.Values{"wait": {"true"}, "trigger": {string(trigger)}}
	return call[purge.Report](ctx, c, http.MethodPost, "/purges", q, nil)
}

// Trigger asks for a pass and does not wait for it.
func (c *Client) Trigger(ctx context.Context) (Accepted, error) {
	return call[Accepted](ctx, c, http.MethodPost, "/purges", nil, nil)
}

// Runs returns the newest passes that have ended, the newest first. limit 0
// returns all that are kept.
func (c *Client) Runs(ctx context.Context, limit int) ([]store.Run, error) {
	q := url.Values{}
	if limit != 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	out, err := call[RunPage](ctx, c, http.MethodGet, "/purges", q, nil)
	return out.Data, err
}

// Audit returns a page of the audit trail from the sequence number on; 0 is 1.
// limit 0 is DefaultPage.
func (c *Client) Audit(ctx context.Context, from uint64, limit int) (AuditPage, error) {
	q := url.Values{}
	if from != 0 {
		q.Set("from", strconv.FormatUint(from, 10))
	}
	if limit != 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return call[AuditPage](ctx, c, http.MethodGet, "/audit", q, nil)
}

// Status describes the daemon and its store.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, http.MethodGet, "/status", nil, nil)
}

// Pause stops purging.
func (c *Client) Pause(ctx context.Context, r PauseRequest) (store.Gates, error) {
	return call[store.Gates](ctx, c, http.MethodPost, "/pause", nil, r)
}

// Resume lifts a pause and a halt.
func (c *Client) Resume(ctx context.Context, r ResumeRequest) (store.Gates, error) {
	return call[store.Gates](ctx, c, http.MethodPost, "/resume", nil, r)
}

// StoreStats describes the store.
func (c *Client) StoreStats(ctx context.Context) (Stats, error) {
	return call[Stats](ctx, c, http.MethodGet, "/store/stats", nil, nil)
}

// Check reads the whole store and returns every defect. The error is for a
// check that could not be made.
func (c *Client) Check(ctx context.Context) (CheckResult, error) {
	return call[CheckResult](ctx, c, http.MethodPost, "/store/check", nil, nil)
}

// Compact rewrites the store's file.
func (c *Client) Compact(ctx context.Context) (Compaction, error) {
	return call[Compaction](ctx, c, http.MethodPost, "/store/compact", nil, nil)
}

// AllTenants walks every page from q on. It ends after an error.
func (c *Client) AllTenants(ctx context.Context, q TenantQuery) iter.Seq2[Tenant, error] {
	if q.Limit == 0 {
		q.Limit = store.MaxPage
	}
	return func(yield func(Tenant, error) bool) {
		for {
			page, err := c.Tenants(ctx, q)
			if err != nil {
				yield(Tenant{}, err)
				return
			}
			for _, t := range page.Data {
				if !yield(t, nil) {
					return
				}
			}
			if q.Page = page.Next; q.Page == "" {
				return
			}
		}
	}
}

// AllAudit walks the audit trail from the sequence number on. It ends after an
// error.
func (c *Client) AllAudit(ctx context.Context, from uint64) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		for {
			page, err := c.Audit(ctx, from, store.MaxPage)
			if err != nil {
				yield(store.Entry{}, err)
				return
			}
			for _, e := range page.Data {
				if !yield(e, nil) {
					return
				}
			}
			if from = page.Next; from == 0 {
				return
			}
		}
	}
}
