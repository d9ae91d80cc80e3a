package store

import "time"

// BlockReason is why a due tenant is not purged now.
type BlockReason string

// The reasons, in the order in which they are looked for: the first one that
// any tenant of the subtree gives is reported.
const (
	BlockHold                BlockReason = "hold"
	BlockProtected           BlockReason = "protected"
	BlockActiveSubscriptions BlockReason = "active_subscriptions"
	BlockLaterDate           BlockReason = "later_date"
	// BlockInvalidDate: the tenant is disabled, and its date is missing or
	// does not agree with the rest of the record (G1).
	BlockInvalidDate BlockReason = "invalid_date"
	// BlockPurging: a descendant is being purged by a claim of its own.
	BlockPurging BlockReason = "purging"

	// Those that follow come from the source of tenants, which is asked once more
	// right before a claim. A store finds none of them by itself.

	// BlockVanished: the source does not know the tenant any more, which is no
	// consent to purge it.
	BlockVanished BlockReason = "vanished"
	// BlockMoved: the source has the tenant below another parent, or below none.
	BlockMoved BlockReason = "moved"
	// BlockSource: the source says of the tenant what cannot be understood, or has a
	// row below it that cannot be, or that is not taken over yet.
	BlockSource BlockReason = "source"
	// BlockSourceDown: the source did not answer, or no sync of it was good for too
	// long.
	BlockSourceDown BlockReason = "source_down"
)

// BlockReasons returns every reason, in the order of precedence.
func BlockReasons() []BlockReason {
	return []BlockReason{
		BlockHold, BlockProtected, BlockActiveSubscriptions, BlockLaterDate, BlockInvalidDate, BlockPurging,
		BlockVanished, BlockMoved, BlockSource, BlockSourceDown,
	}
}

// Block is why a tenant waits, and for whom.
type Block struct {
	Reason BlockReason `json:"reason"`
	// By is the tenant that causes it: the tenant itself or a descendant. Among
	// several with the same reason it is the tenant itself, else the one with
	// the latest end, else the one with the smallest id.
	By string `json:"by"`
	// Until is when the reason ends by itself; zero when it does not.
	Until Timestamp `json:"until,omitzero"`
}

// BlockOf returns why t keeps any claim of itself or of an ancestor from being
// made at now, or nil. top says that t is the tenant to be claimed; then its
// own date counts unless immediate. An immediate deletion overrules dates, and
// nothing else.
func BlockOf(t *Tenant, now time.Time, protected func(id string) bool, top, immediate bool) *Block {
	switch {
	case t.Hold.InForce(now):
		return &Block{Reason: BlockHold, By: t.ID, Until: Timestamp{t.Hold.Until}}
	case protected != nil && protected(t.ID):
		return &Block{Reason: BlockProtected, By: t.ID}
	case t.ActiveSubscriptions > 0:
		return &Block{Reason: BlockActiveSubscriptions, By: t.ID}
	case t.Status != StatusDisabled || immediate:
		return nil
	case t.CheckDate() != nil:
		return &Block{Reason: BlockInvalidDate, By: t.ID}
	case now.Before(t.EstimatedPurgeDate) && !top:
		return &Block{Reason: BlockLaterDate, By: t.ID, Until: Timestamp{t.EstimatedPurgeDate}}
	}
	return nil
}

// Worse returns the one of two blocks that is reported for the claim of top;
// either may be nil.
func Worse(top string, a, b *Block) *Block {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	if ra, rb := a.Reason.rank(), b.Reason.rank(); ra != rb {
		if ra < rb {
			return a
		}
		return b
	}
	if a.By == top || b.By == top {
		if a.By == top {
			return a
		}
		return b
	}
	if c := compareUntil(a.Until.Time, b.Until.Time); c != 0 {
		if c > 0 {
			return a
		}
		return b
	}
	if a.By <= b.By {
		return a
	}
	return b
}

// rank orders reasons by precedence, the first one lowest.
func (r BlockReason) rank() int {
	for i, v := range BlockReasons() {
		if r == v {
			return i
		}
	}
	return len(BlockReasons())
}

// compareUntil orders ends; a zero one, "never", comes last.
func compareUntil(a, b time.Time) int {
	switch {
	case a.IsZero() && b.IsZero():
		return 0
	case a.IsZero():
		return 1
	case b.IsZero():
		return -1
	}
	return a.Compare(b)
}
