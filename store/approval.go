package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// ApprovalAction is what waits for a second person.
type ApprovalAction string

// What may have to wait.
const (
	ApproveDelete ApprovalAction = "delete" // of a tenant, at once
	ApproveResume ApprovalAction = "resume" // of purging
)

// ApprovalStatus is how far an approval is.
type ApprovalStatus string

// The statuses. One that has expired is kept as pending: ask StatusAt.
const (
	ApprovalPending  ApprovalStatus = "pending"
	ApprovalApproved ApprovalStatus = "approved"
	ApprovalRejected ApprovalStatus = "rejected"
	ApprovalExpired  ApprovalStatus = "expired"
)

// Bounds of approvals.
const (
	// MaxApprovals is how many are kept at a time; of one person, [OwnerShare]
	// wait at the most.
	MaxApprovals = 1000
	// MaxApprovalCall is the largest size of what waits, in bytes.
	MaxApprovalCall = 16 << 10
	// ApprovalKept is how long after its end an approval can still be read.
	ApprovalKept = 24 * time.Hour
)

// Approval is a call that waits for a second person, or that has waited. Of a
// tenant it holds nothing but the id; names and email addresses are those of who
// asked, and only until somebody has decided.
type Approval struct {
	ID     string         `json:"id"`
	Action ApprovalAction `json:"action"`
	// TenantID and Version are those of the tenant, as it was when somebody asked;
	// empty for a resume.
	TenantID string `json:"tenantId,omitempty"`
	Version  int64  `json:"version,omitempty"`
	// Gates is the [Gates.Digest] for a resume, as it was when somebody asked.
	Gates       string    `json:"gates,omitempty"`
	RequestedBy Actor     `json:"requestedBy"`
	RequestedAt Timestamp `json:"requestedAt"`
	// ExpiresAt is the first instant at which it can no longer be decided.
	ExpiresAt Timestamp      `json:"expiresAt"`
	Status    ApprovalStatus `json:"status"`
	DecidedBy string         `json:"decidedBy,omitempty"` // an id
	DecidedAt Timestamp      `json:"decidedAt,omitzero"`
	// Reason is why it was rejected, if somebody has said so.
	Reason string `json:"reason,omitempty"`
	// Outcome is what became of the last attempt to carry it out, nil when there was
	// none or its end is not known.
	Outcome *ApprovalOutcome `json:"outcome,omitempty"`
	// Call is what waits, as JSON that only matters to who asked. It is empty once
	// somebody has decided.
	Call json.RawMessage `json:"call,omitempty"`
}

// ApprovalOutcome is what became of a call that was approved.
type ApprovalOutcome struct {
	At Timestamp `json:"at"`
	By string    `json:"by"` // the id of who approved
	// Code is that of the refusal, "" for a call that was made.
	Code   Code   `json:"code,omitempty"`
	Detail string `json:"detail"`
}

// ApprovalDecision is what a person says about an approval.
type ApprovalDecision struct {
	Approve bool
	Reason  string // of a rejection; may be ""
}

// ApprovalRequest asks for a second person.
type ApprovalRequest struct {
	Action   ApprovalAction
	TenantID string // "" for a resume
	Version  int64  // of the tenant; 0 is the one that it has
	Call     json.RawMessage
	Life     time.Duration
	// Check, unless nil, may refuse for what the tenant's record holds. It may be
	// called more than once.
	Check func(Tenant) error
}

// Approver is implemented by a store that keeps what waits for a second person.
// Each change is one transaction with its audit entry.
//
// Methods that take an id return NotFound for one that is not kept (any more).
type Approver interface {
	// RequestApproval keeps a call until somebody decides. Asking for the same
	// again while it waits returns what waits, and changes nothing. Errors: Invalid;
	// NotFound and Gone for the tenant; Conflict for a stale version; those of
	// req.Check; Exhausted when MaxApprovals wait, or too many of the same person.
	RequestApproval(ctx context.Context, req ApprovalRequest, o Origin) (Approval, error)
	// Approval returns one.
	Approval(ctx context.Context, id string, now time.Time) (Approval, error)
	// Approvals returns all that are kept, the oldest first. Of those that do not
	// wait any more the oldest make room for new ones.
	Approvals(ctx context.Context, now time.Time) ([]Approval, error)
	// DecideApproval approves or rejects, and returns the approval with its call.
	// Of several decisions at a time one is made. Errors: those of
	// [Approval.Decide], and to approve those of [Approval.CheckTenant] or
	// [Approval.CheckGates], and NotFound and Gone for the tenant: with these it has
	// expired, since what was asked for can never be done any more.
	DecideApproval(ctx context.Context, id string, d ApprovalDecision, o Origin) (Approval, error)
	// EndApproval records what became of the call of an approval, which is as
	// DecideApproval has returned it. With again nothing was done, and so it waits
	// again, unless that can never be done any more: then it has expired. Errors:
	// NotFound; Conflict when it is not that decision which is kept.
	EndApproval(ctx context.Context, a Approval, out ApprovalOutcome, again bool, o Origin) (Approval, error)
}

// NewApproval returns the approval of a request. t is the tenant that it is about,
// nil for a resume. Errors: those of [Approver.RequestApproval], but for what the
// store knows.
func NewApproval(id string, req ApprovalRequest, t *Tenant, g *Gates, o Origin) (Approval, error) {
	a := Approval{
		ID: id, Action: req.Action, RequestedBy: o.Actor, RequestedAt: Timestamp{Trim(o.At)},
		ExpiresAt: Timestamp{Trim(o.At.Add(req.Life))}, Status: ApprovalPending, Call: req.Call,
	}
	switch {
	case req.Life < time.Millisecond:
		return a, Errorf(Invalid, "an approval needs some time; want more than %s", req.Life)
	case len(req.Call) > MaxApprovalCall:
		return a, Errorf(Invalid, "the call is %d bytes long; want at most %d for one that waits", len(req.Call), MaxApprovalCall)
	case !json.Valid(req.Call):
		return a, Errorf(Invalid, "the call is no JSON")
	case req.Action == ApproveResume && t == nil:
		a.Gates = g.Digest()
		return a, nil
	case req.Action != ApproveDelete || t == nil:
		return a, Errorf(Invalid, "action %s: want %s with a tenant, or %s", Quote(string(req.Action)), ApproveDelete, ApproveResume)
	case req.Version != 0 && req.Version != t.Version:
		return a, Errorf(Conflict, "tenant %q has version %d, not %d", t.ID, t.Version, req.Version).At("version")
	}
	if req.Check != nil {
		if err := req.Check(*t); err != nil {
			return a, err
		}
	}
	a.TenantID, a.Version = t.ID, t.Version
	return a, nil
}

// StatusAt returns the status at now.
func (a *Approval) StatusAt(now time.Time) ApprovalStatus {
	if a.Status == ApprovalPending && !now.Before(a.ExpiresAt.Time) {
		return ApprovalExpired
	}
	return a.Status
}

// ForgetAt returns the first instant at which the approval is not kept any more.
func (a *Approval) ForgetAt() time.Time { return a.ExpiresAt.Add(ApprovalKept) }

// Asks identifies what is asked for, and by whom. Of one on which somebody has
// decided it is that of nothing that can be asked for.
func (a *Approval) Asks() [sha256.Size]byte {
	return digestOf(a.Action, a.TenantID, a.Version, a.Gates, a.RequestedBy.ID, a.Call)
}

// Decide approves or rejects. Errors: Conflict when somebody has decided before;
// Precondition when it has expired; Forbidden for who asked, who may only reject;
// Invalid for a reason that is no sound text, or that is not of a rejection.
func (a *Approval) Decide(d ApprovalDecision, o Origin) error {
	if err := CheckText("reason", d.Reason, MaxNameLength); err != nil {
		return err
	}
	approve := d.Approve
	switch a.StatusAt(o.At) {
	case ApprovalPending:
	case ApprovalExpired:
		if a.Status == ApprovalExpired && a.Outcome != nil {
			return Errorf(Precondition, "approval %s can never be carried out any more: %s", a.ID, a.Outcome.Detail)
		}
		return Errorf(Precondition, "approval %s expired at %s; ask again", a.ID, FormatTime(a.ExpiresAt.Time))
	default:
		return Errorf(Conflict, "approval %s was %s by %q at %s", a.ID, a.Status, a.DecidedBy, FormatTime(a.DecidedAt.Time))
	}
	switch {
	case approve && d.Reason != "":
		return Errorf(Invalid, "reason: it is for a rejection").At("reason")
	case approve && o.Actor.ID == a.RequestedBy.ID:
		return Errorf(Forbidden, "%q asked for approval %s; a second person has to approve it", o.Actor.ID, a.ID)
	}
	a.Status, a.DecidedBy, a.DecidedAt, a.Reason = ApprovalRejected, o.Actor.ID, Timestamp{Trim(o.At)}, d.Reason
	if approve {
		a.Status, a.Outcome = ApprovalApproved, nil
	}
	return nil
}

// Decided returns what is kept of an approval on which somebody has decided.
func (a Approval) Decided() Approval {
	a.Call, a.RequestedBy = nil, Actor{ID: a.RequestedBy.ID}
	return a
}

// Expired returns what is kept of an approval that can never be carried out any
// more, for err, which o has come upon.
func (a Approval) Expired(err error, o Origin) Approval {
	a.Status, a.DecidedBy, a.DecidedAt = ApprovalExpired, o.Actor.ID, Timestamp{Trim(o.At)}
	a.Outcome = &ApprovalOutcome{At: a.DecidedAt, By: o.Actor.ID, Code: CodeOf(err), Detail: err.Error()}
	return a.Decided()
}

// Ended returns what is kept of an approval, which is as DecideApproval has returned
// it, once it is known what became of its call; and the step that this is, "" for
// none. fits says that what it is for is still there.
func (a Approval) Ended(out ApprovalOutcome, again, fits bool) (Approval, Action) {
	out.At.Time = Trim(out.At.Time)
	if len(out.Detail) > MaxNameLength {
		out.Detail = strings.ToValidUTF8(out.Detail[:MaxNameLength], "")
	}
	a.Outcome = &out
	switch {
	case !again:
		return a.Decided(), ""
	case fits:
		a.Status, a.DecidedBy, a.DecidedAt = ApprovalPending, "", Timestamp{}
		return a, ActionApprovalReopen
	}
	a.Status = ApprovalExpired
	return a.Decided(), ActionApprovalExpire
}

// CheckTenant returns a [Conflict] error when the tenant has changed since
// somebody asked.
func (a *Approval) CheckTenant(t *Tenant) error {
	if t.Version == a.Version {
		return nil
	}
	return Errorf(Conflict, "tenant %q has changed since approval %s was asked for: it has version %d, not %d; ask again",
		t.ID, a.ID, t.Version, a.Version)
}

// CheckGates returns a [Conflict] error when the pause or the halt is another one
// than when somebody asked: what would be lifted, nobody has looked at.
func (a *Approval) CheckGates(g *Gates) error {
	if g.Digest() == a.Gates {
		return nil
	}
	return Errorf(Conflict, "what has stopped purging has changed since approval %s was asked for; ask again", a.ID)
}

// Approved returns the change with the condition that the approval, which is for
// a resume, still fits.
func (a *Approval) Approved(c GateChange) GateChange {
	apply := c.Apply
	c.Apply = func(g *Gates, o Origin) (map[string]string, error) {
		if err := a.CheckGates(g); err != nil {
			return nil, err
		}
		return apply(g, o)
	}
	return c
}

// Entry returns the audit entry of a step of the approval.
func (a *Approval) Entry(step Action, o Origin) Entry {
	d := map[string]string{"approvalId": a.ID, "action": string(a.Action), "requestedBy": a.RequestedBy.ID}
	if a.TenantID != "" {
		d["version"] = fmt.Sprint(a.Version)
	}
	switch {
	case step == ActionApprovalRequest:
		d["expiresAt"] = FormatTime(a.ExpiresAt.Time)
	case step == ActionApprovalReject && a.Reason != "":
		d["reason"] = a.Reason
	case (step == ActionApprovalReopen || step == ActionApprovalExpire) && a.Outcome != nil:
		d["code"] = string(a.Outcome.Code)
	}
	return Entry{At: Timestamp{o.At}, Actor: o.Actor.ID, Action: step, TenantID: a.TenantID, Detail: d}
}

// Digest identifies the pause and the halt that there are.
func (g *Gates) Digest() string {
	sum := digestOf(g.Pause, g.Halt)
	return hex.EncodeToString(sum[:])
}

// digestOf returns the digest of values, whose types always encode.
func digestOf(values ...any) [sha256.Size]byte {
	b, err := json.Marshal(values)
	if err != nil {
		panic(err)
	}
	return sha256.Sum256(b)
}
