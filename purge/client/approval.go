package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// PathApprovals is where approvals are, below [Prefix].
const PathApprovals = "/approvals"

// Approval is a call that waits for a second person, or that has waited.
type Approval struct {
	ID     string               `json:"id"`
	Action store.ApprovalAction `json:"action"`
	Status store.ApprovalStatus `json:"status"`
	// TenantID and Version are those of the tenant, as it was when somebody asked;
	// a resume has none.
	TenantID    string          `json:"tenantId,omitempty"`
	Version     int64           `json:"version,omitempty"`
	RequestedBy store.Actor     `json:"requestedBy"` // the id alone, once somebody has decided
	RequestedAt store.Timestamp `json:"requestedAt"`
	ExpiresAt   store.Timestamp `json:"expiresAt"`
	DecidedBy   string          `json:"decidedBy,omitempty"` // an id
	DecidedAt   store.Timestamp `json:"decidedAt,omitzero"`
	// Reason is why it was rejected, if somebody has said so.
	Reason string `json:"reason,omitempty"`
	// Outcome is what became of the last attempt to carry it out: of a pending one
	// why it was refused. nil when there was none, or its end is not known.
	Outcome *store.ApprovalOutcome `json:"outcome,omitempty"`
	// Call is what waits; absent once somebody has decided.
	Call *PendingCall `json:"call,omitempty"`
}

// PendingCall is a call that waits.
type PendingCall struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Body   json.RawMessage `json:"body,omitempty"`
}

// Pending is the answer, 202, of a call that waits for a second person.
type Pending struct {
	Approval Approval `json:"approval"`
}

// ApprovalPage is the answer of GET /approvals, the oldest first.
type ApprovalPage struct {
	Data []Approval `json:"data"` // never null
}

// ApprovalError is the error of a call that has not been made, since it waits for a
// second person. Its code is [store.Unavailable].
type ApprovalError struct {
	Approval Approval
}

// Error implements error.
func (e *ApprovalError) Error() string {
	return fmt.Sprintf("nothing has happened yet: approval %s waits for a second person until %s",
		e.Approval.ID, store.FormatTime(e.Approval.ExpiresAt.Time))
}

// Unwrap returns an error of the store's with the code.
func (e *ApprovalError) Unwrap() error { return store.Errorf(store.Unavailable, "%s", e.Error()) }

// Approvals returns all approvals that are kept, the oldest first.
func (c *Client) Approvals(ctx context.Context) ([]Approval, error) {
	out, err := call[ApprovalPage](ctx, c, http.MethodGet, PathApprovals, nil, nil)
	return out.Data, err
}

// Approval returns one.
func (c *Client) Approval(ctx context.Context, id string) (Approval, error) {
	return call[Approval](ctx, c, http.MethodGet, approvalPath(id), nil, nil)
}

// Approve has a call made that another person has asked for. It waits for its end
// and returns what it is answered with, which is empty for a call without a body in
// its answer. The error is that of the approval or that of the call.
func (c *Client) Approve(ctx context.Context, id string, options ...CallOption) (json.RawMessage, error) {
	path := approvalPath(id, "actions", "approve")
	res, err := c.exchange(ctx, http.MethodPost, path, nil, nil, options...)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusAccepted {
		p, err := c.await(ctx, res)
		return p.Result, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, cutOff(ctx, http.MethodPost, path, err)
	}
	return body, nil
}

// RejectRequest is the body of POST /approvals/{approval}/actions/reject.
type RejectRequest struct {
	Reason string `json:"reason,omitempty"`
}

// Reject ends an approval. Who has asked may, too.
func (c *Client) Reject(ctx context.Context, id string, r RejectRequest, options ...CallOption) (Approval, error) {
	return call[Approval](ctx, c, http.MethodPost, approvalPath(id, "actions", "reject"), nil, r, options...)
}

// approvalPath returns the path of an approval, or of what is below it.
func approvalPath(id string, more ...string) string {
	return strings.Join(append([]string{PathApprovals, url.PathEscape(id)}, more...), "/")
}

// pending returns the error for an answer that says that the call waits for a second
// person, and nil for any other. It takes the body only of the former.
func pending(ctx context.Context, method, path string, res *http.Response) error {
	if res.StatusCode != http.StatusAccepted || !strings.HasPrefix(res.Header.Get("Location"), Prefix+PathApprovals+"/") {
		return nil
	}
	var out Pending
	if err := decode(ctx, method, path, res, &out); err != nil {
		return err
	}
	return &ApprovalError{out.Approval}
}
