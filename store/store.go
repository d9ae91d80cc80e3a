package store

import (
	"context"
	"io"
	"time"
)

// Store keeps tenants and everything that purging them needs. It is safe for
// concurrent use.
//
// Every method returns an error with a [Code]. Beside those named at a method,
// any may return [Unavailable] (the store is closed; [CheckClock] refuses the
// instant of a change; it could not be written: the change may or may not be
// there, and the store takes no more of them until it is opened again),
// [Internal] (a defect or a corrupt store) and, wrapped, *[SpaceError] (nothing
// was written) and the error of ctx. A context that ends while a change waits
// for its turn withdraws it; one that ends later does not undo it.
//
// Methods that take an id return NotFound for one that was never used, and Gone
// for a purged one.
type Store interface {
	// Create adds a tenant. Of t it takes ID, ParentID, Name, Hostname and
	// ActiveSubscriptions; the tenant begins active, at version 1. Errors:
	// Invalid; Conflict when the id is in use; Gone when it was purged, since an
	// id is never given again; NotFound (field "parentId") for an unknown parent
	// and Gone for a purged one; Precondition below a tenant that is not active.
	Create(ctx context.Context, t Tenant, o Origin) (Tenant, error)
	// Tenant returns one record.
	Tenant(ctx context.Context, id string) (Tenant, error)
	// Tombstone returns what remains of a purged tenant. Errors: NotFound for
	// an id that was never used; Precondition for a tenant that is kept.
	Tombstone(ctx context.Context, id string) (Tombstone, error)
	// Tenants returns records in the order of their ids.
	Tenants(ctx context.Context, f Filter) ([]Tenant, error)
	// Update changes one record by the rules of up.Change and returns it as it
	// is afterwards. Errors: those of the change; Conflict for a stale version.
	Update(ctx context.Context, id string, up Update) (Tenant, error)

	// Due returns up to limit tenants that are disabled and whose own date has
	// come, ordered by date then id, after the cursor. The zero cursor begins.
	// Blocks are not looked at. Its cost grows with what it returns.
	Due(ctx context.Context, now time.Time, after Cursor, limit int) ([]Candidate, error)
	// Resumable returns up to limit tenants that were claimed, are not failed,
	// whose next attempt has come and on which nobody works, ordered by the
	// next attempt then id.
	Resumable(ctx context.Context, now time.Time, after Cursor, limit int) ([]Candidate, error)
	// NextAttempt returns the earliest instant after the given one at which a
	// tenant becomes resumable by itself: its next attempt, or the end of the
	// lease when somebody works on it and that is later. It is zero when there
	// is none. Its cost grows with the purges whose next attempt is not later
	// than the answer, not with what is kept.
	NextAttempt(ctx context.Context, after time.Time) (time.Time, error)
	// Assess returns what Claim would decide on the same request, and what
	// the store holds of the subtree. It changes nothing. A refusal is in the
	// assessment; the error is for a tenant that cannot be read.
	Assess(ctx context.Context, id string, req ClaimRequest) (Assessment, error)

	// Survey returns the blocks of all tenants below id that Claim would refuse
	// to take at req.At because of one, by their ids. It reads the subtree once,
	// where trying each of them would read a subtree each: of a deep tree that
	// is a square. What else may refuse a claim (a gate, a limit, a date to
	// come) is not looked at, except that tenants whose own date is to come are
	// left out.
	Survey(ctx context.Context, id string, req ClaimRequest) (map[string]Block, error)

	// Claim takes a disabled tenant and its whole subtree, active descendants
	// included, to purging, in one transaction. The first of these that
	// applies refuses it:
	//
	//   - *GateError: a gate is closed;
	//   - Conflict: req.Version is stale;
	//   - Precondition: the tenant is not disabled, or its date has not come
	//     and req.Immediate is not set;
	//   - *BlockedError: see [BlockOf] and [Worse]; the block is kept on the
	//     record of the tenant, with an audit entry when it changed;
	//   - Exhausted: the claim would exceed req.Quota or req.Limits and the
	//     allowance of the gates does not cover it. The store halts in the same
	//     transaction.
	//
	// A refused claim takes nothing from the quota.
	//
	// A descendant that is purging or failed by a claim of its own goes with
	// this one, its counts included, unless an owner works on it: then the
	// block is BlockPurging. The claim is Resumed if such an owner vanished.
	Claim(ctx context.Context, id string, req ClaimRequest) (Claim, error)
	// Resume takes over a claimed tenant: an attempt after a failed one, or
	// the work of an owner whose lease has ended or who closed the store. Gates
	// do not stop it, except a halt and a pause: *GateError. Errors:
	// Precondition for a tenant that is not purging or whose next attempt has
	// not come; Conflict while somebody works on it.
	Resume(ctx context.Context, id string, req ClaimRequest) (Claim, error)
	// Record adds to the progress of a claim and extends its lease. Errors:
	// Conflict for a token that is not the newest.
	Record(ctx context.Context, tok Token, a Advance) error
	// Erase removes a bounded part of what the store itself holds of the
	// claimed subtree, in the order of G3, counting it in the progress. Calling
	// it until More is false bounds the transaction of Finish. Errors: Conflict
	// for a token that is not the newest.
	Erase(ctx context.Context, tok Token, at time.Time, lease time.Duration) (Erased, error)
	// Finish removes what is left of the subtree in the store, verifies by a
	// count of its own that nothing is, and writes tombstones, receipt, audit
	// entry and index in the same transaction. Errors: Conflict for a token that
	// is not the newest; Precondition when v.Remaining is not zero or Erase has
	// more to do.
	Finish(ctx context.Context, tok Token, v Verification) (Receipt, error)
	// Postpone ends an attempt with an error and gives up the lease. With a zero
	// f.Next the tenant is failed until a person retries. Errors: Conflict for a
	// token that is not the newest.
	Postpone(ctx context.Context, tok Token, f Failure) (Tenant, error)
	// Yield gives up the lease without an attempt being counted, for a stop in
	// the midst of work; the tenant is resumable from at on. Errors: Conflict for a token that is not the newest.
	Yield(ctx context.Context, tok Token, at time.Time) error
	// Await is Yield for a tenant that has to wait. Errors: Conflict for a token that
	// is not the newest.
	Await(ctx context.Context, tok Token, w Wait) error
	// Hasten brings forward the next attempts of tenants that nobody works on, and
	// that wait for what next says need not be waited for from an instant on; see
	// [Progress.Hastened]. It returns how many it brought forward.
	Hasten(ctx context.Context, now time.Time, next map[Awaited]time.Time) (int64, error)

	// Gates returns the persisted gates, and whether there is room on the disk.
	Gates(ctx context.Context) (Gates, error)
	// ChangeGates changes them and returns them as they are afterwards. Errors:
	// those of the change.
	ChangeGates(ctx context.Context, c GateChange, o Origin) (Gates, error)

	// Audit returns up to limit entries from the sequence number on, in order.
	// Sequence numbers begin at 1.
	Audit(ctx context.Context, from uint64, limit int) ([]Entry, error)
	// Receipt returns the receipt with which the tenant was purged: its own or
	// that of the ancestor it went with. Errors: Precondition for a tenant
	// that is kept.
	Receipt(ctx context.Context, id string) (Receipt, error)

	// RecordRun keeps a pass that has ended. The newest 100 are kept.
	RecordRun(ctx context.Context, r Run) error
	// Runs returns up to limit passes, the newest first.
	Runs(ctx context.Context, limit int) ([]Run, error)

	// Stats describes the store at now.
	Stats(ctx context.Context, now time.Time) (Stats, error)
	// Backup writes a consistent copy of the whole store, evidence included,
	// and returns its size in bytes. What it writes is a store that opens. It
	// may hold bytes of purged tenants that the store's own file still holds.
	Backup(ctx context.Context, w io.Writer) (int64, error)
	// Check reads everything and returns every defect that it finds, joined:
	// indexes against records, counters against rows, children of deleted
	// parents, the audit chain and its receipts, and the file itself.
	Check(ctx context.Context) error
	// Close waits for changes under way and closes the store. Closing again
	// does nothing.
	Close() error
}

// Compacter is implemented by a store whose file keeps the bytes of deleted
// records until it is rewritten (G13).
type Compacter interface {
	// Compact rewrites the file. Changes wait meanwhile.
	Compact(ctx context.Context) (Compaction, error)
}

// Compaction is the size of the store's file before and after, in bytes.
type Compaction struct {
	Before, After int64
}

// Filter selects tenants. The zero value selects all, up to the largest page.
type Filter struct {
	Status   Status  // "": any
	ParentID *string // nil: any; "": roots
	// DueBy, unless zero, selects disabled tenants whose date is not after it.
	DueBy time.Time
	After string // the last id of the page before
	Limit int    // 0 or above MaxPage: MaxPage
}

// MaxPage is the largest number of records that one call returns.
const MaxPage = 1000

// Cursor is a place in the order of [Store.Due] or [Store.Resumable].
type Cursor struct {
	At time.Time
	ID string
}

// Candidate is a tenant that a pass looks at.
type Candidate struct {
	Cursor
	// DueAbove are the ancestors that are disabled and whose own dates have
	// come, topmost first. The tenant goes with the first of them that can be
	// claimed.
	DueAbove []string
}
