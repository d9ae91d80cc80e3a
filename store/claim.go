package store

import "time"

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

	// Holds is what the targets that there are hold, for [Progress.Holds].
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
