package ndjson

import (
	"context"
	"time"
)

// The stages of an import, in their order, and the one of an export.
const (
	StageRead   = "read"
	StageCheck  = "check"
	StageWrite  = "write"
	StageExport = "export"
)

// Progress is how far an import or an export is.
type Progress struct {
	Stage string `json:"stage"`
	// Lines counts those that the stage is done with.
	Lines int64 `json:"lines"`
	// Total is how many the stage has to do; 0 while that is not known.
	Total int64 `json:"total"`
}

// progressEvery is the shortest time between two reports.
const progressEvery = 200 * time.Millisecond

// meter counts records and now and then reports and looks at the context.
type meter struct {
	report func(Progress)
	stage  string
	total  int64
	done   int64
	last   time.Time
}

// begin starts a stage.
func (m *meter) begin(stage string, total int64) {
	m.stage, m.total, m.done = stage, total, 0
}

// tick counts one record. It returns the error of a context that has ended.
func (m *meter) tick(ctx context.Context) error {
	m.done++
	if m.done%256 != 0 {
		return nil
	}
	return m.look(ctx)
}

// look reports when it is time to.
func (m *meter) look(ctx context.Context) error {
	if m.report != nil {
		if now := time.Now(); now.Sub(m.last) >= progressEvery {
			m.last = now
			m.report(Progress{Stage: m.stage, Lines: m.done, Total: m.total})
		}
	}
	return context.Cause(ctx)
}
