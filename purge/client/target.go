package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// PathTargets is where targets are, below [Prefix].
const PathTargets = "/targets"

// Target is a system outside the store that holds resources.
type Target struct {
	Name  string       `json:"name"`
	Kinds []store.Kind `json:"kinds"` // never null
	// Window is when the target may be purged, "" for always.
	Window string `json:"window,omitempty"`
	// CanInit and CanDiagnose say what the target can do beside purging.
	CanInit     bool `json:"canInit"`
	CanDiagnose bool `json:"canDiagnose"`
	// CountsSubscriptions says that it is asked how many a tenant has.
	CountsSubscriptions bool `json:"countsSubscriptions,omitempty"`
	// Progress has the tenants that are being purged in it.
	Progress []TargetProgress `json:"progress"` // never null
}

// TargetProgress is how far the purge of one tenant is in one target, its sub-tenants
// included.
type TargetProgress struct {
	TenantID string `json:"tenantId"`
	Target   string `json:"target"`
	Done     int64  `json:"done"` // resources that this process removed
	// Remaining is null when it is not known.
	Remaining *int64          `json:"remaining"`
	Rate      float64         `json:"rate"` // a second
	ETA       store.Timestamp `json:"eta,omitzero"`
	BeganAt   store.Timestamp `json:"beganAt"`
	// ProgressedAt is when something was last removed; absent when nothing was.
	ProgressedAt store.Timestamp `json:"progressedAt,omitzero"`
	// Reason and Until say why the target is not called now, and when it will be.
	Reason purge.PostponeReason `json:"reason,omitempty"`
	Until  store.Timestamp      `json:"until,omitzero"`
}

// TargetPage is the answer of GET /targets.
type TargetPage struct {
	Data []Target `json:"data"` // never null
}

// TargetCheck is the answer of POST /targets/{target}/actions/test.
type TargetCheck struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Findings is the answer of GET /targets/{target}/findings and GET /source/findings,
// the worst first.
type Findings struct {
	Data []purge.Finding `json:"data"` // never null
	// Error says why it could not look any further.
	Error string `json:"error,omitempty"`
}

// Targets returns the targets.
func (c *Client) Targets(ctx context.Context) ([]Target, error) {
	out, err := call[TargetPage](ctx, c, http.MethodGet, PathTargets, nil, nil)
	return out.Data, err
}

// TestTarget asks a target whether it is usable.
func (c *Client) TestTarget(ctx context.Context, name string) (TargetCheck, error) {
	return call[TargetCheck](ctx, c, http.MethodPost, targetPath(name)+"/actions/test", nil, nil)
}

// InitTarget has a target make what it needs of its own.
func (c *Client) InitTarget(ctx context.Context, name string) error {
	path := targetPath(name) + "/actions/init"
	res, err := c.exchange(ctx, http.MethodPost, path, nil, nil)
	if err != nil {
		return err
	}
	return decode(ctx, http.MethodPost, path, res, nil)
}

// Diagnose has a target look for what would make a purge slow, wrong or impossible.
func (c *Client) Diagnose(ctx context.Context, name string) (Findings, error) {
	return call[Findings](ctx, c, http.MethodGet, targetPath(name)+"/findings", nil, nil)
}

func targetPath(name string) string { return PathTargets + "/" + url.PathEscape(name) }
