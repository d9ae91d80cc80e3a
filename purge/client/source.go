package client

import (
	"context"
	"net/http"

	"github.com/tenantpurge/purger/store"
)

// PathSource is where the source is, below [Prefix].
const PathSource = "/source"

// AcceptRequest is the body of POST /source/actions/accept.
type AcceptRequest struct {
	// Digest is that of the refused sync.
	Digest string `json:"digest"`
}

// Source returns what is on record of the source. Errors: Precondition when there
// is none.
func (c *Client) Source(ctx context.Context) (store.SourceState, error) {
	return call[store.SourceState](ctx, c, http.MethodGet, PathSource, nil, nil)
}

// DiagnoseSource has the source look for what would make a sync wrong or
// impossible. Errors: Precondition when there is no source.
func (c *Client) DiagnoseSource(ctx context.Context) (Findings, error) {
	return call[Findings](ctx, c, http.MethodGet, PathSource+"/findings", nil, nil)
}

// SyncSource reads the source now, and returns what came of it.
func (c *Client) SyncSource(ctx context.Context) (store.Sync, error) {
	return call[store.Sync](ctx, c, http.MethodPost, PathSource+"/actions/sync", nil, nil)
}

// AcceptSync lets exactly the refused sync with this digest happen.
func (c *Client) AcceptSync(ctx context.Context, digest string) (store.SourceState, error) {
	return call[store.SourceState](ctx, c, http.MethodPost, PathSource+"/actions/accept", nil, AcceptRequest{Digest: digest})
}
