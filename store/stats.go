package store

import "time"

// Stats describes the store as a whole. Its cost does not grow with the number
// of tenants.
type Stats struct {
	// Tenants counts by status; StatusDeleted counts tombstones.
	Tenants map[Status]int64
	// Resources counts what the store itself holds.
	Resources Counts
	// Blocked counts the disabled tenants by the block on their record.
	Blocked map[BlockReason]int64
	// Due counts the tenants whose date has come and that have no block.
	Due int64
	// OldestDue is the earliest date among them; zero when there is none.
	OldestDue time.Time
	// NextPurge is the earliest date that has not come yet; zero for none.
	NextPurge time.Time
	// OldestClaim is when the oldest claim was made of a tenant that is purging;
	// zero when none is.
	OldestClaim time.Time
	// ClaimedLastDay counts the tenants that claims took in the last 24 h.
	ClaimedLastDay int64
	AuditHead      AuditRef
	Size           FileStats
}

// FileStats is the size of the store's file in bytes. All are 0 for a store
// that is not a file.
type FileStats struct {
	Size     int64 // of the file
	Free     int64 // of it that is free for use
	Freelist int64 // that the list of free pages takes
}

// Run is a pass that has ended, as the store remembers it.
type Run struct {
	ID         string    `json:"id"`
	Trigger    string    `json:"trigger"`
	StartedAt  Timestamp `json:"startedAt"`
	FinishedAt Timestamp `json:"finishedAt"`
	Result     string    `json:"result"`
	Tenants    int64     `json:"tenants"` // that were purged
	Failed     int64     `json:"failed"`  // failed or to be retried
	Blocked    int64     `json:"blocked"`
	Deleted    Counts    `json:"deleted"`
	Error      string    `json:"error,omitempty"`
}
