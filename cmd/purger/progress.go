package main

import (
	"fmt"
	"io"

	"github.com/tenantpurge/purger/purge/client"
)

// progress is a line on a terminal that says how far an import is. Where
// standard error is no terminal it shows nothing.
type progress struct {
	w     io.Writer // nil: show nothing
	shown bool
}

// newProgress returns the progress line of this process.
func (a *app) newProgress() *progress {
	if !terminal(a.stderr) {
		return &progress{}
	}
	return &progress{w: a.stderr}
}

// show replaces the line.
func (p *progress) show(e client.ImportProgress) {
	if p.w == nil {
		return
	}
	p.shown = true
	of := ""
	if e.Total > 0 {
		of = fmt.Sprintf(" of %s (%d %%)", number(e.Total), 100*e.Lines/e.Total)
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s: %s%s", printable(e.Stage), number(e.Lines), of)
}

// clear takes the line away.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
