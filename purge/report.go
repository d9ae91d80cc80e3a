package purge

import "github.com/tenantpurge/purger/store"

// Result is how a pass ended.
type Result string

// The results, the most serious one of those that apply.
const (
	ResultOK          Result = "ok"
	ResultPartial     Result = "partial"     // some tenants failed or are to be retried
	ResultHalted      Result = "halted"      // a limit was reached, now or before
	ResultPaused      Result = "paused"      // a person paused purging
	ResultImport      Result = "import"      // an import is not complete: nothing was claimed
	ResultSpace       Result = "space"       // the disk has no room for what a purge writes
	ResultInterrupted Result = "interrupted" // the context ended: the rest follows next time
	ResultError       Result = "error"       // the store failed
	ResultPlanned     Result = "planned"     // a dry run that no gate stops
)

// Results returns every result.
func Results() []Result {
	return []Result{ResultOK, ResultPartial, ResultHalted, ResultPaused, ResultImport, ResultSpace, ResultInterrupted, ResultError, ResultPlanned}
}

// Outcome is what became of one tenant in a pass, or what a plan predicts.
type Outcome string

// The outcomes.
const (
	OutcomeDeleted  Outcome = "deleted"
	OutcomeBlocked  Outcome = "blocked"
	OutcomeFailed   Outcome = "failed"   // attempts are spent: a person has to retry
	OutcomeRetrying Outcome = "retrying" // not finished, or not begun for want of room or of an answer: a later pass goes on
)

// Report is what a pass did, or what a plan predicts.
type Report struct {
	ID         string          `json:"id"`
	Trigger    Trigger         `json:"trigger"`
	StartedAt  store.Timestamp `json:"startedAt"`
	FinishedAt store.Timestamp `json:"finishedAt"`
	Result     Result          `json:"result"`
	// Gate is the gate that ended the pass; nil when none did. Of a plan it is
	// also the gate that would keep a pass from doing what the plan lists.
	Gate *store.Gate `json:"gate,omitempty"`
	// Halt is set in a plan under a closed gate: the limit at which a pass would
	// halt if the gate were open.
	Halt *store.Gate `json:"halt,omitempty"`
	// Tenants has a row for each tenant at the top of a purge and for each that
	// is due and blocked, ordered by date, then id. It is never nil.
	Tenants []Row  `json:"tenants"`
	Totals  Totals `json:"totals"`
	// Omitted is how many rows were left out because there were more than
	// MaxRows with the same outcome. Totals counts them.
	Omitted int64 `json:"omitted,omitempty"`
	// Error is why the store failed, with ResultError.
	Error string `json:"error,omitempty"`
}

// MaxRows is how many rows with the same outcome a report holds.
const MaxRows = 10_000

// Row is one tenant of a report. A descendant that goes with its ancestor has
// no row of its own.
type Row struct {
	ID      string  `json:"id"`
	Outcome Outcome `json:"outcome"`
	// Block is set with OutcomeBlocked.
	Block *store.Block `json:"block,omitempty"`
	// Error is set with OutcomeFailed and OutcomeRetrying.
	Error              string          `json:"error,omitempty"`
	EstimatedPurgeDate store.Timestamp `json:"estimatedPurgeDate"`
	// ResourcesDeleted counts since the claim, earlier passes included.
	ResourcesDeleted store.Counts `json:"resourcesDeleted"`
	// Targets is set in a plan: what of ResourcesDeleted is in which target, as far
	// as it can be counted. The rest is in the store.
	Targets map[string]store.Counts `json:"targets,omitempty"`
}

// Totals sums up a report.
type Totals struct {
	// Counts is what went with the tenants whose outcome is deleted.
	store.Counts
	// Tenants counts the purged tenants, descendants included.
	Tenants int64 `json:"tenants"`
	// The number of rows by outcome.
	Deleted  int64 `json:"deleted"`
	Blocked  int64 `json:"blocked"`
	Failed   int64 `json:"failed"`
	Retrying int64 `json:"retrying"`
}
