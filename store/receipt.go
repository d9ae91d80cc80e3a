package store

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// Tombstone is what remains of a purged tenant. It holds no name, host name or
// data of the tenant.
type Tombstone struct {
	ID       string `json:"id"`
	ParentID string `json:"parentId,omitempty"`
	// PurgedWith is the tenant at the top of the claim; its id finds the
	// receipt. It is ID itself for the top.
	PurgedWith string    `json:"purgedWith"`
	CreatedAt  Timestamp `json:"createdAt,omitzero"`
	DisabledAt Timestamp `json:"disabledAt,omitzero"`
	DeletedAt  Timestamp `json:"deletedAt"`
	Version    int64     `json:"version"`
	// Deleted counts the tenant's own embedded resources and, for the top,
	// nothing more: the receipt has the sums.
	Deleted Counts `json:"deleted"`
}

// Receipt is the proof of one purge.
type Receipt struct {
	ID       string `json:"id"`
	TenantID string `json:"tenantId"`
	ParentID string `json:"parentId,omitempty"`
	// Tenants is the subtree, deepest first; TenantID is the last one.
	Tenants            []string  `json:"tenants"`
	DisabledAt         Timestamp `json:"disabledAt,omitzero"`
	PurgeAfterDays     int       `json:"purgeAfterDays,omitempty"`
	EstimatedPurgeDate Timestamp `json:"estimatedPurgeDate,omitzero"`
	DisabledBy         string    `json:"disabledBy,omitempty"` // actor id
	ClaimedAt          Timestamp `json:"claimedAt"`
	ClaimedBy          string    `json:"claimedBy"` // actor id
	Trigger            string    `json:"trigger,omitempty"`
	Immediate          bool      `json:"immediate,omitempty"`
	DeletedAt          Timestamp `json:"deletedAt"`
	// Planned was counted at the claim, Deleted while deleting, Remaining
	// afterwards and independently.
	Planned   Counts `json:"planned"`
	Deleted   Counts `json:"deleted"`
	Remaining Counts `json:"remaining"`
	// Targets has, for each external target, what it reported as deleted.
	Targets map[string]Counts `json:"targets,omitempty"`
	// CountsExact is false when a crash made Deleted a lower bound, or something is
	// unaccounted for.
	CountsExact bool `json:"countsExact"`
	// LowerBounds says of which targets and kinds Deleted is a lower bound; nothing
	// on receipts of versions that did not.
	LowerBounds []LowerBound `json:"lowerBounds,omitempty"`
	// Unaccounted holds, for each target of which it is known, how much more was
	// counted at first than it removed, and lists no more; negative is how much more
	// it said to have removed than there was. Absent is nothing.
	Unaccounted map[string]Counts `json:"unaccounted,omitempty"`
	// Audit is the entry of the deletion; it holds the Digest of this receipt.
	Audit AuditRef `json:"audit,omitzero"`
}

// AuditRef points at an audit entry.
type AuditRef struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}

// Digest returns the SHA-256, in hex, of the receipt's JSON without its audit
// member.
func (r Receipt) Digest() string {
	return digest(appendReceipt(make([]byte, 0, 1024), &r))
}

// Seal sets Audit to what audit returns for the Digest, and returns the
// receipt's JSON.
func (r *Receipt) Seal(audit func(digest string) (AuditRef, error)) ([]byte, error) {
	body := appendReceipt(make([]byte, 0, 1024), r)
	ref, err := audit(digest(body))
	if err != nil {
		return nil, err
	}
	r.Audit = ref
	// The member "audit" is the last one: append it instead of encoding anew.
	body = append(body[:len(body)-1], `,"audit":{"seq":`...)
	body = strconv.AppendUint(body, ref.Seq, 10)
	body = append(body, `,"hash":`...)
	return append(appendString(body, ref.Hash), `}}`...), nil
}

// digest returns the SHA-256 of b in hex.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// NewReceipt returns the receipt of a claim on t that ends at deletedAt.
// tenants is the subtree, deepest first.
func NewReceipt(t *Tenant, tenants []string, remaining Counts, deletedAt time.Time) Receipt {
	p := t.Purge
	return Receipt{
		ID: p.PurgeID, TenantID: t.ID, ParentID: t.ParentID, Tenants: tenants,
		DisabledAt: Timestamp{t.DisabledAt}, PurgeAfterDays: t.PurgeAfterDays,
		EstimatedPurgeDate: Timestamp{t.EstimatedPurgeDate}, DisabledBy: t.DisabledBy.ID,
		ClaimedAt: p.ClaimedAt, ClaimedBy: p.ClaimedBy, Trigger: p.Trigger, Immediate: p.Immediate,
		DeletedAt: Timestamp{Trim(deletedAt)}, Planned: p.Planned, Deleted: p.Deleted,
		Remaining: remaining, Targets: p.Targets, CountsExact: !p.CountsInexact, LowerBounds: p.Bounds(),
	}
}
