package client

import "github.com/tenantpurge/purger/purge"

// A pass and a plan have one JSON form, that of package purge.
type (
	// Report is the answer of GET /plan and of POST /purges?wait=true.
	Report = purge.Report
	// Row is one tenant of a report.
	Row = purge.Row
	// Totals sums up a report.
	Totals = purge.Totals
)
