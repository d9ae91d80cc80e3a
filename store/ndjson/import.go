package ndjson

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/tenantpurge/purger/store"
)

// What to do when the input differs from a record that the store keeps.
const (
	// OnConflictFail refuses the whole input.
	OnConflictFail = "fail"
	// OnConflictKeep leaves the record as it is, tells it and goes on.
	OnConflictKeep = "keep"
)

// ImportStore is what Import needs of a store. One that implements
// [store.Store] and [store.Importer] has it.
type ImportStore interface {
	store.Importer
	Tenant(ctx context.Context, id string) (store.Tenant, error)
	Gates(ctx context.Context) (store.Gates, error)
}

// ImportOptions says what to import, and how. Store and Input are required.
type ImportOptions struct {
	Store ImportStore
	// Input is read once, to its end. An error of it is returned, and nothing
	// is written then.
	Input io.Reader
	// TempDir is where the input is sorted; "" for the system's. It needs
	// about two and a half times the size of the input. The files have no names.
	TempDir string
	// Actor is who imports, for the audit trail.
	Actor store.Actor
	// Grace bounds the grace periods. The zero value is [store.DefaultGrace].
	Grace store.Grace
	// CheckID, unless nil, may refuse the id of a tenant that could have it
	// otherwise. It is called by the goroutine that called Import.
	CheckID func(id string) error
	// Now is the instant at which dates are judged and that the audit trail
	// tells. Zero is the clock: then each transaction has its own.
	Now time.Time
	// DryRun checks everything and writes nothing.
	DryRun bool
	// OnConflict is OnConflictFail, also when it is "", or OnConflictKeep.
	OnConflict string
	// Supersede lets this import take the place of another one that is not
	// complete; else the error is Conflict, since its end would open the gate
	// while records of the other one are missing.
	Supersede bool
	// Progress, unless nil, is called at most every 200 ms, by the goroutine
	// that called Import.
	Progress func(Progress)
	// MaxErrors is how many errors are told in full: 0 is 100, a negative
	// number none. All are counted.
	MaxErrors int
	// MemoryLimit is for sorting, in bytes; 0 is 16 MiB. Besides, 11 bytes are
	// taken for each tenant of the input.
	MemoryLimit int64
}

// Summary counts what became of the records of an import or an export.
type Summary struct {
	// Lines counts the lines of the input or the output.
	Lines     int64 `json:"lines"`
	Tenants   Tally `json:"tenants"`
	Resources Tally `json:"resources"`
	// Conflicts are, of an import with OnConflictKeep, the first of those that
	// were counted, in the order of their lines: ImportOptions.MaxErrors of them.
	Conflicts []Conflict `json:"conflicts,omitempty"`
	// Complete: all that was to be imported or exported is, and the import
	// gate is open. A dry run completes only when nothing was to be done.
	Complete bool `json:"complete"`
}

// Conflict is a line of the input that differs from the record that is kept.
type Conflict struct {
	Line    int64  `json:"line"`
	ID      string `json:"id"`
	Message string `json:"message"`
}

// Tally counts records by what became of them.
type Tally struct {
	// New records were written or, in a dry run and when the input was
	// refused, would have been.
	New int64 `json:"new"`
	// Unchanged records were there already.
	Unchanged int64 `json:"unchanged"`
	// Conflict counts those of which a different one is there and stays.
	Conflict int64 `json:"conflict"`
	// Skipped counts, of an import, the records of tenants that were purged;
	// of an export, those of tenants that are being purged.
	Skipped int64 `json:"skipped"`
}

// count adds one record.
func (t *Tally) count(o store.Outcome) {
	switch o {
	case store.OutcomeNew:
		t.New++
	case store.OutcomeUnchanged:
		t.Unchanged++
	case store.OutcomeConflict:
		t.Conflict++
	case store.OutcomePurged:
		t.Skipped++
	}
}

// Import reads lines, checks all of them and then writes those records that the
// store does not have. The same input again writes nothing; after an
// interruption it writes what is missing.
//
// Errors: *[InvalidInput], for the lines that are wrong or, when none is, for
// those that conflict; *[store.SpaceError]; else those of reading, of sorting and of the store, which
// may leave the import incomplete and its gate closed. The summary is that of
// what was done until then.
func Import(ctx context.Context, o ImportOptions) (Summary, error) {
	im, err := newImport(o)
	if err != nil {
		return Summary{}, err
	}
	err = im.run(ctx)
	if im.o.OnConflict == OnConflictKeep {
		im.sum.Conflicts = im.conflicts.list()
	}
	if cerr := im.close(); cerr != nil {
		err = errors.Join(err, cerr)
	}
	return im.sum, err
}

// importing is one import.
type importing struct {
	o         ImportOptions
	dec       *decoder
	meter     meter
	sum       Summary
	bad       collector
	conflicts collector

	tenants   *sorter // id, line: see tenantRecord
	parents   *sorter // see refKey
	resources *sorter // tenant, kind, id, line -> data
	output    *sorter // what is to be written, in the order of writing

	batch  int   // records that one transaction writes at most
	rows   int64 // records that were taken in
	key    []byte
	value  []byte
	forest *forest
	digest hash.Hash
	hashed *bufio.Writer // to digest
}

func newImport(o ImportOptions) (*importing, error) {
	switch o.OnConflict {
	case "":
		o.OnConflict = OnConflictFail
	case OnConflictFail, OnConflictKeep:
	default:
		return nil, store.Errorf(store.Invalid, "onConflict %q: want fail or keep", o.OnConflict).At("onConflict")
	}
	if o.MaxErrors == 0 {
		o.MaxErrors = 100
	}
	o.MaxErrors = max(o.MaxErrors, 0)
	if o.MemoryLimit == 0 {
		o.MemoryLimit = 16 << 20
	}
	now := store.Trim(o.Now)
	if now.IsZero() {
		now = store.Trim(time.Now())
	}
	grace, err := completeGrace(o.Grace)
	if err != nil {
		return nil, err
	}
	im := &importing{
		o: o, dec: &decoder{grace: grace, checkID: o.CheckID, now: now}, meter: meter{report: o.Progress},
		bad: collector{limit: o.MaxErrors}, conflicts: collector{limit: o.MaxErrors},
		// No more than two of the larger ones are in use at a time.
		tenants:   newSorter(o.TempDir, o.MemoryLimit/4),
		parents:   newSorter(o.TempDir, o.MemoryLimit/4),
		resources: newSorter(o.TempDir, o.MemoryLimit/2),
		output:    newSorter(o.TempDir, o.MemoryLimit/2),
		batch:     batchRecords,
		digest:    sha256.New(),
	}
	im.hashed = bufio.NewWriter(im.digest)
	return im, nil
}

// completeGrace replaces the zero fields of g by the default and checks them.
func completeGrace(g store.Grace) (store.Grace, error) {
	d := store.DefaultGrace()
	if g.Min == 0 {
		g.Min = d.Min
	}
	if g.Max == 0 {
		g.Max = d.Max
	}
	if g.Default == 0 {
		g.Default = d.Default
	}
	if g.Min < 1 || g.Min > g.Default || g.Default > g.Max {
		return g, store.Errorf(store.Invalid, "grace period %d to %d days, %d by default: want 1 <= min <= default <= max", g.Min, g.Max, g.Default)
	}
	return g, nil
}

// hasRoom refuses an import that the store has no room for before its input is
// read, which may take long. The store looks again at every batch.
func (im *importing) hasRoom(ctx context.Context) error {
	gates, err := im.o.Store.Gates(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("read the gates: %w", err)
	case gates.Space != nil && !im.o.DryRun:
		return &store.SpaceError{Space: *gates.Space}
	}
	return nil
}

// run does the steps of an import. All of them but the last only read.
func (im *importing) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		im.hasRoom, im.read, im.relate, im.compareTenants, im.planTenants, im.compareResources,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := im.bad.err(store.Invalid); err != nil {
		return err
	}
	if im.o.OnConflict == OnConflictFail {
		if err := im.conflicts.err(store.Conflict); err != nil {
			return err
		}
	}
	return im.write(ctx)
}

// willWrite reports whether records are to be kept for writing.
func (im *importing) willWrite() bool {
	return !im.o.DryRun && im.bad.total == 0 && (im.o.OnConflict == OnConflictKeep || im.conflicts.total == 0)
}

// refuse keeps an error of a line.
func (im *importing) refuse(line int64, id string, err *store.Error) {
	im.bad.add(LineError{Line: line, ID: id, Field: err.Field, Err: err})
}

// checksum returns the digest of the records in the order of their ids, which
// does not depend on that of the lines or on white space.
func (im *importing) checksum() (string, error) {
	if err := im.hashed.Flush(); err != nil {
		return "", fmt.Errorf("compute the digest: %w", err)
	}
	return hex.EncodeToString(im.digest.Sum(nil)), nil
}

// close removes the temporary files.
func (im *importing) close() error {
	return errors.Join(im.tenants.close(), im.parents.close(), im.resources.close(), im.output.close())
}
