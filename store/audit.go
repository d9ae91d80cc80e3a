package store

import "fmt"

// Action names what an audit entry is about.
type Action string

// The actions.
const (
	ActionCreate     Action = "create"
	ActionEdit       Action = "edit"
	ActionDeactivate Action = "deactivate"
	ActionReactivate Action = "reactivate"
	ActionHold       Action = "hold"
	ActionRelease    Action = "release"
	ActionBlock      Action = "block"    // a claim was refused for another reason than before
	ActionClaim      Action = "claim"    // disabled -> purging
	ActionResume     Action = "resume"   // another owner, or another attempt
	ActionPostpone   Action = "postpone" // an attempt failed, another follows
	ActionFail       Action = "fail"     // attempts are spent
	ActionRetry      Action = "retry"
	ActionPurge      Action = "purge" // purging -> deleted
	ActionPause      Action = "pause"
	ActionUnpause    Action = "unpause"
	ActionHalt       Action = "halt"
	ActionLift       Action = "lift"         // a person lifted a halt
	ActionImportOpen Action = "import.begin" // nothing is claimed from here
	ActionImport     Action = "import"       // one transaction of an import
	ActionImportDone Action = "import.end"   // to here

	ActionApprovalRequest Action = "approval.request" // a call waits for a second person
	ActionApprovalApprove Action = "approval.approve" // who makes it now
	ActionApprovalReject  Action = "approval.reject"
	ActionApprovalReopen  Action = "approval.reopen" // its call was refused; it waits again
	ActionApprovalExpire  Action = "approval.expire" // it can never be carried out any more

	ActionSync         Action = "source.sync"   // a sync changed something
	ActionSourceRefuse Action = "source.refuse" // a sync would change too much
	ActionSourceAccept Action = "source.accept" // a person accepted that
	ActionSourceBegin  Action = "source.begin"  // the accepted one is carried out
)

// Entry is one line of the audit trail. It names no person but by id, and holds
// no data of a tenant, except what people write into the reasons of holds and
// pauses.
type Entry struct {
	Seq         uint64    `json:"seq"` // 1, 2, 3 ... without a gap
	At          Timestamp `json:"at"`
	Actor       string    `json:"actor"`
	Action      Action    `json:"action"`
	TenantID    string    `json:"tenantId,omitempty"`
	FromStatus  Status    `json:"fromStatus,omitempty"`
	ToStatus    Status    `json:"toStatus,omitempty"`
	FromVersion int64     `json:"fromVersion,omitempty"`
	ToVersion   int64     `json:"toVersion,omitempty"`
	Counts      *Counts   `json:"counts,omitempty"`
	// Detail holds what the action needs besides, such as the limit that was
	// hit or the digest of the receipt.
	Detail map[string]string `json:"detail,omitempty"`
	// PrevHash is the Hash of the entry before, "" for the first.
	PrevHash string `json:"prevHash"`
	// Hash is the SHA-256, in hex, of the entry's JSON without this member. The
	// JSON is what encoding/json makes of Entry: members in the order of this
	// struct, no white space, the keys of Detail sorted.
	Hash string `json:"hash,omitempty"`
}

// Seal sets PrevHash and Hash and returns the entry's JSON, hash included.
func (e *Entry) Seal(prevHash string) []byte {
	e.PrevHash, e.Hash = prevHash, ""
	body := appendEntry(make([]byte, 0, 768), e)
	e.Hash = digest(body)
	// The member "hash" is the last one: append it instead of encoding anew.
	body = append(body[:len(body)-1], `,"hash":"`...)
	return append(append(body, e.Hash...), `"}`...)
}

// Chain verifies entries in their order. The zero value begins at the first
// entry; it is not safe for concurrent use.
type Chain struct {
	seq  uint64
	hash string
}

// Verify takes the next entry. It returns what is wrong with it: a gap or a
// repetition in Seq, a PrevHash that is not the hash of the entry before, or a
// Hash that does not fit the content.
func (c *Chain) Verify(e Entry) error {
	if e.Seq != c.seq+1 {
		return fmt.Errorf("audit entry %d follows %d: an entry was removed, inserted or moved", e.Seq, c.seq)
	}
	if e.PrevHash != c.hash {
		return fmt.Errorf("audit entry %d: prevHash %.16s... is not the hash of the entry before, %.16s...", e.Seq, e.PrevHash, c.hash)
	}
	kept := e.Hash
	e.Seal(e.PrevHash)
	if e.Hash != kept {
		return fmt.Errorf("audit entry %d: hash %.16s... does not fit its content, which hashes to %.16s...", e.Seq, kept, e.Hash)
	}
	c.seq, c.hash = e.Seq, kept
	return nil
}

// Head returns the last verified entry's sequence number and hash.
func (c *Chain) Head() AuditRef { return AuditRef{Seq: c.seq, Hash: c.hash} }
