package client

import (
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/ndjson"
)

// Imports and exports have the JSON forms of package ndjson.
type (
	// ImportProgress tells how far an import is.
	ImportProgress = ndjson.Progress
	// ImportSummary tells what an import did, or would do.
	ImportSummary = ndjson.Summary
	// Tally counts records by what became of them.
	Tally = ndjson.Tally
)

// ExportSummary tells what an export wrote.
type ExportSummary struct {
	Lines     int64 `json:"lines"`
	Tenants   int64 `json:"tenants"`
	Resources int64 `json:"resources"`
	// Skipped counts the tenants that are being purged or whose purge failed.
	Skipped int64 `json:"skipped"`
}

// ImportOptions are the parameters of POST /import.
type ImportOptions struct {
	DryRun bool
	// OnConflict is [ndjson.OnConflictFail], also when it is "", or
	// [ndjson.OnConflictKeep].
	OnConflict string
	// Supersede takes the place of another import that is not complete.
	Supersede bool
}

// ImportEvent is one line of the answer of POST /import. Exactly one member is
// set. An answer ends with Summary or Error; one that ends otherwise was cut
// off.
type ImportEvent struct {
	Progress *ImportProgress `json:"progress,omitempty"`
	Summary  *ImportSummary  `json:"summary,omitempty"`
	Error    *ErrorBody      `json:"error,omitempty"`
}

// ImportError is what the client returns when an import was refused because of
// its input. It wraps a [store.Error] with the code of the refusal.
type ImportError struct {
	Problems []LineProblem // at least one; the server sends the first 100
	Total    int64         // of all problems
	err      *store.Error
}

// LineProblem is what is wrong with one line of an import.
type LineProblem struct {
	Line    int64  // 0: the input as a whole
	ID      string // of the record, "" when it could not be read
	Field   string // the member at fault, "" for the line as a whole
	Code    store.Code
	Message string
}
