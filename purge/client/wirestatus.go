package client

import (
	"github.com/tenantpurge/purger/store"
)

// Status is the answer of GET /status.
type Status struct {
	Version  string          `json:"version"`
	Daemon   bool            `json:"daemon"`        // false: a command serves itself
	PID      int             `json:"pid,omitempty"` // of the daemon
	DataDir  string          `json:"dataDir"`
	Running  *Running        `json:"running"`  // null: no pass runs
	NextRun  store.Timestamp `json:"nextRun"`  // "" without a scheduler
	Schedule string          `json:"schedule"` // "" without a scheduler
	// NextRetry is when a pass begins for what was claimed before; absent when
	// nothing is to be resumed.
	NextRetry store.Timestamp `json:"nextRetry,omitzero"`
	Gates     store.Gates     `json:"gates"`
	Closed    []store.Gate    `json:"closed"` // never null
	Stats     Stats           `json:"stats"`
	LastRun   *store.Run      `json:"lastRun"` // null: none is on record
}

// Running tells of the pass that runs.
type Running struct {
	Trigger string          `json:"trigger"`
	Since   store.Timestamp `json:"since"`
}

// Stats is [store.Stats] on the wire.
type Stats struct {
	Tenants        map[store.Status]int64      `json:"tenants"`
	Resources      store.Counts                `json:"resources"`
	Blocked        map[store.BlockReason]int64 `json:"blocked"`
	Due            int64                       `json:"due"`
	OldestDue      store.Timestamp             `json:"oldestDue,omitzero"`
	NextPurge      store.Timestamp             `json:"nextPurge,omitzero"`
	ClaimedLastDay int64                       `json:"claimedLastDay"`
	AuditHead      store.AuditRef              `json:"auditHead"`
	Size           FileSize                    `json:"size"`
}

// FileSize is the size of the store's file in bytes.
type FileSize struct {
	Size     int64 `json:"size"`
	Free     int64 `json:"free"`
	Freelist int64 `json:"freelist"`
}

// CheckResult is the answer of POST /store/check.
type CheckResult struct {
	OK      bool     `json:"ok"`
	Defects []string `json:"defects,omitempty"`
}

// Compaction is the answer of POST /store/compact, in bytes.
type Compaction struct {
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}
