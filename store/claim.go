package store

import (
	"slices"
	"time"
)

// Limits bound how many tenants all claims together take in any 24 hours,
// descendants and immediate deletions counted (G9). Both bounds hold.
type Limits struct {
	// PerDay is a number of tenants; 0 is no bound.
	PerDay int64
	// PerDayShare is a share, 0 to 1, of all tenants: those that are kept and
	// those that claims took in the 24 hours; 0 is no bound.
	PerDayShare float64
	// ShareFloor is what PerDayShare allows at the least.
	ShareFloor int64
}

// ClaimRequest says who claims and under which bounds.
type ClaimRequest struct {
	Origin
	// Owner names the process that will do the work.
	Owner string
	// Lease is how long the claim is Owner's without a sign of life.
	Lease time.Duration
	// Trigger is what set it off, for audit and receipt.
	Trigger string

	// Protected reports the tenants that must never be purged; may be nil. It
	// is called inside the decision and must be quick and pure.
	Protected func(id string) bool
	Limits    Limits
	// Quota is that of the pass; nil for none.
	Quota *Quota
	// Ahead counts tenants as if claims before this one had taken them, from
	// the quota too: a plan sets it for Assess, a claim leaves it 0.
	Ahead int64
	// BeyondAhead is how many of those are beyond a limit, see
	// [Assessment.Beyond].
	BeyondAhead int64
	// Queued, unless nil, is called by Claim once its place among claims is
	// fixed: one that is made after the call is decided later. It is not called
	// when the claim is refused before that.
	Queued func()

	// Known, unless nil, is the block that [Store.Survey] found for the tenant a
	// moment ago. Claim then refuses with it where it would look for a block,
	// and does not read the subtree again. It can only refuse: a block that has
	// ended since holds the tenant up until the next pass.
	Known *Block
	// OpenGates lets Assess decide as if every gate were open, for a plan of
	// what follows once they are. Claim takes no notice of it.
	OpenGates bool

	// Immediate overrules the dates, for a deletion that a person asked for.
	Immediate bool
	// Version, when not 0, must be the record's; else the error is [Conflict].
	Version int64

	// Holds is what the targets that there are hold, for [Progress.Doubt].
	Holds map[string][]Kind

	// Inline allows the store to finish in the transaction of the claim when
	// it is small enough. Set it when nothing outside the store holds
	// resources. [Claim.Receipt] tells whether it happened.
	Inline bool
}

// Token fences a claim: a store refuses, with [Conflict], a token that is not
// the newest of its tenant.
type Token struct {
	TenantID string
	Fence    uint64
}

// Claim is a subtree that was taken from disabled to purging.
type Claim struct {
	Token  Token
	Tenant Tenant // the top of the subtree, as claimed
	// Tenants are the ids of the subtree that are not tombstones yet, deepest
	// first, those of one depth in the order of their creation; the last one
	// is the top. It is nil when Receipt is set.
	Tenants []string
	// Resumed says that an earlier owner may have been in the midst of a call.
	Resumed bool
	// Receipt is set when the purge was finished inline.
	Receipt *Receipt
}

// Assessment is what a claim would decide.
type Assessment struct {
	Tenant Tenant
	// Tenants counts the subtree, the top included; with ClaimRequest.Known it
	// and Counts are not filled.
	Tenants int64
	// Counts is what the store holds of the subtree; resources in other
	// systems are not in it.
	Counts Counts
	// Beyond is how many of the tenants no limit allows; the gates' allowance
	// covers them.
	Beyond int64
	// Refusal is the error that [Store.Claim] would return, nil when it would
	// succeed: *BlockedError, *GateError or *Error.
	Refusal error
}

// Progress is the state of a purge that was claimed and is not finished.
type Progress struct {
	PurgeID   string    `json:"purgeId"` // also that of the receipt
	Fence     uint64    `json:"fence"`
	Owner     string    `json:"owner"`
	LeaseEnd  Timestamp `json:"leaseEnd,omitzero"` // zero: nobody works on it
	ClaimedAt Timestamp `json:"claimedAt"`
	ClaimedBy string    `json:"claimedBy"` // actor id
	Trigger   string    `json:"trigger,omitempty"`
	Immediate bool      `json:"immediate,omitempty"`
	// Attempts counts the attempts that ended in an error since the claim or
	// the last retry by a person.
	Attempts    int       `json:"attempts,omitempty"`
	NextAttempt Timestamp `json:"nextAttempt,omitzero"`
	// Awaits is what NextAttempt waits for, until it is resumed; empty when that is
	// the backoff after an attempt.
	Awaits    []Awaited `json:"awaits,omitempty"`
	LastError string    `json:"lastError,omitempty"`
	Tenants   int64     `json:"tenants"` // size of the subtree at the claim
	Planned   Counts    `json:"planned"` // what the store held at the claim
	Deleted   Counts    `json:"deleted"` // in the store and in all targets
	// Targets holds what each target reported as deleted.
	Targets map[string]Counts `json:"targets,omitempty"`
	// CountsInexact: a crash or a lost answer made Deleted a lower bound. LowerBounds
	// says where; see [Progress.Doubts].
	CountsInexact bool         `json:"countsInexact,omitempty"`
	LowerBounds   []LowerBound `json:"lowerBounds,omitempty"`
	// Accounts names the targets that keep an account of their own of everything
	// that they removed for the purge.
	Accounts []string `json:"accounts,omitempty"`
	// Counted holds what was in each target by the first count of the purge, and
	// what was removed before it. Gone is how much of it was found gone when it was
	// to be removed.
	Counted map[string]Counts `json:"counted,omitempty"`
	Gone    map[string]Counts `json:"gone,omitempty"`
	// Unaccounted holds the targets in which an attempt found by how much Counted
	// and what was removed differ, with nothing to explain it.
	Unaccounted map[string]Unaccounted `json:"unaccounted,omitempty"`
}

// HasAccount reports whether a target is among Accounts.
func (p *Progress) HasAccount(target string) bool { return slices.Contains(p.Accounts, target) }

// Advance is what a target did since the last report.
type Advance struct {
	At     time.Time
	Lease  time.Duration // the claim is the owner's for so long again
	Target string        // "" for a mere sign of life
	// Planned and Deleted are added to what is on record.
	Planned, Deleted Counts
	// Inexact says that a call may have deleted more than was reported, and
	// LowerBounds, if it is known, of what.
	Inexact     bool
	LowerBounds []LowerBound
	// Account adds Target to [Progress.Accounts].
	Account bool
	// Counted, unless nil, is what a count found in Target, for [Progress.Counted].
	Counted *Counts
	// Gone is added to [Progress.Gone].
	Gone Counts
	// Unaccounted, unless nil, replaces that of Target in [Progress.Unaccounted].
	Unaccounted *Unaccounted
}

// Failure is an attempt that ended in an error.
type Failure struct {
	At time.Time
	// Err is kept on the record until the tenant is purged.
	Err error
	// Next is when to try again. Zero: never by itself, the tenant is failed.
	Next time.Time
	// Awaits is what Next waits for, if it is not a mere backoff.
	Awaits []Awaited
}

// Verification is what independent counts found after the cascade.
type Verification struct {
	At time.Time
	// Remaining must count nothing, else the error is [Precondition].
	Remaining Counts
	// Targets names the targets that were counted.
	Targets []string
	// Settled names those of which Deleted was compared with their account. See
	// [Progress.Settle].
	Settled []string
	// Unaccounted is for the receipt: see [Receipt.Unaccounted].
	Unaccounted map[string]Counts
}

// Erased tells what one bounded step removed.
type Erased struct {
	Deleted Counts
	// More says that there is more than fits the transaction of Finish.
	More bool
}
