package purge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantpurge/purger/store"
)

const (
	// triedRows is how many rows [Syncer.Diagnose] looks at, for up to triedFor.
	triedRows = 1000
	triedFor  = time.Minute
	// toldReasons is how many reasons a finding names.
	toldReasons = 3
)

// errTried ends a snapshot of which enough was seen.
var errTried = errors.New("enough rows")

// Diagnose has the source look for what would make a sync wrong or impossible, or
// checks it if it is no [Doctor], and looks at its first rows. It changes nothing. The
// error says that it could not look; what was found until then is returned all the
// same.
func (s *Syncer) Diagnose(ctx context.Context) (found []Finding, err error) {
	switch v := s.source.(type) {
	case Doctor:
		found, err = v.Diagnose(ctx)
	case Checker:
		err = v.Check(ctx)
	}
	if err != nil || slices.ContainsFunc(found, func(f Finding) bool { return f.Severity == SeverityError }) {
		return found, err
	}
	f, err := s.tryRows(ctx)
	if f != nil {
		found = slices.Insert(found, 0, *f)
	}
	return found, err
}

// tryRows reads the first rows, and returns what keeps them from being taken over;
// nil for nothing.
func (s *Syncer) tryRows(ctx context.Context) (*Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, triedFor)
	defer cancel()
	grace := s.settings.Load().Grace
	var n int64
	var bad []store.DeadLetter
	err := s.source.Tenants(ctx, func(r SourceRow) error {
		n++
		err := r.Err
		if err == nil {
			_, err = r.Tenant.adoption(grace)
		}
		if err != nil {
			bad = append(bad, store.DeadLetter{Row: n, Reason: printable(err)})
		}
		if n == triedRows {
			return errTried
		}
		return nil
	})
	if err != nil && !errors.Is(err, errTried) {
		return nil, err
	}
	if len(bad) == 0 {
		return nil, nil
	}
	f := &Finding{Severity: SeverityWarning, Subject: "rows"}
	if int64(len(bad)) > n/2 {
		f.Severity = SeverityError
	}
	var why []string
	groups := store.ByReason(bad)
	for _, g := range groups[:min(len(groups), toldReasons)] {
		why = append(why, fmt.Sprintf("%d: %s (row %d)", len(g), g[0].Reason, g[0].Row))
	}
	if more := len(groups) - toldReasons; more > 0 {
		why = append(why, fmt.Sprintf("and %d more reasons", more))
	}
	f.Text = fmt.Sprintf("of the first %d rows %d cannot be taken over; %s", n, len(bad), strings.Join(why, "; "))
	return f, nil
}
