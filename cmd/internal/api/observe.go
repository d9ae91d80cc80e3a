package api

import (
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/store"
)

// observe gives each request a trace id, counts it and writes one line about it
// to the log: at error for a defect, else at info, or at reads for a GET or HEAD.
// Bodies, queries, paths and headers are not in it, nor what a refusal quotes of
// them.
func observe(next http.Handler, route func(*http.Request) string, l *zap.Logger, reads zapcore.Level, m *metrics.Metrics) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		r = withTrace(r)
		rec := &recorder{ResponseWriter: w, ctl: http.NewResponseController(w), stall: stallTimeout}
		if r.ContentLength != 0 {
			// The server lifts this at the end of the body. A body that no handler
			// reads is read by the server before it answers: within this, too.
			_ = rec.ctl.SetReadDeadline(began.Add(bodyTimeout))
		}
		name := route(r)
		defer func() {
			status := rec.status
			if status == 0 {
				status = http.StatusOK
			}
			m.HTTPRequest(name, status)
			level := zapcore.InfoLevel
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				level = reads
			}
			if status == http.StatusInternalServerError || rec.err != nil && codeOf(rec.err) == store.Internal {
				level = zapcore.ErrorLevel
			}
			if line := l.Check(level, "request"); line != nil {
				line.Write(rec.fields(name, status, time.Since(began), traceOf(r.Context()))...)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// recorder notes what becomes of an answer, and gives each write of it a
// deadline.
type recorder struct {
	http.ResponseWriter
	ctl    *http.ResponseController
	stall  time.Duration
	status int // 0: the answer has not begun
	bytes  int64
	// begins, unless nil, is called once, before the answer begins.
	begins func()
	actor  string // id
	tenant string // id
	err    error
}

// Unwrap is for [http.ResponseController].
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (rec *recorder) WriteHeader(status int) {
	if status >= 200 {
		rec.begin(status)
	}
	rec.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (rec *recorder) Write(p []byte) (int, error) {
	rec.begin(http.StatusOK)
	rec.extend()
	n, err := rec.ResponseWriter.Write(p)
	rec.bytes += int64(n)
	return n, err
}

// begin notes that the answer begins, unless it has.
func (rec *recorder) begin(status int) {
	if rec.status != 0 {
		return
	}
	rec.status = status
	if rec.begins != nil {
		rec.begins()
	}
}

// flush sends what was written so far.
func (rec *recorder) flush() error {
	rec.extend()
	return rec.ctl.Flush()
}

// extend gives the next write its time. The server lifts it after the request.
func (rec *recorder) extend() {
	_ = rec.ctl.SetWriteDeadline(time.Now().Add(rec.stall)) // a test's recorder has none
}

// fields returns the fields of the log line.
func (rec *recorder) fields(route string, status int, took time.Duration, trace string) []zap.Field {
	f := []zap.Field{
		zap.String("route", route), zap.Int("status", status), zap.Int64("bytes", rec.bytes),
		zap.Duration("took", took), zap.String("trace_id", trace),
	}
	if rec.actor != "" {
		f = append(f, zap.String("actor", rec.actor))
	}
	if rec.tenant != "" {
		f = append(f, zap.String("tenant", rec.tenant))
	}
	if rec.err != nil {
		f = append(f, zap.String("error", forLog(rec.err)))
	}
	return f
}

// forLog returns what the log is told of an error: its text, unless that may quote
// what the caller sent. The answer has it, and the trace id leads to the answer.
func forLog(err error) string {
	if codeOf(err) == store.Invalid {
		return string(store.Invalid)
	}
	return err.Error()
}

// recorderOf returns the recorder that observe made; every answer has one.
func recorderOf(w http.ResponseWriter) *recorder {
	for {
		switch v := w.(type) {
		case *recorder:
			return v
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			panic("api: an answer that is not observed")
		}
	}
}

// begun reports whether the answer has begun.
func begun(w http.ResponseWriter) bool { return recorderOf(w).status != 0 }

// noteActor notes who calls, for the log.
func noteActor(w http.ResponseWriter, a store.Actor) { recorderOf(w).actor = a.ID }

// noteTenant notes whom a request is about, for the log.
func noteTenant(w http.ResponseWriter, id string) { recorderOf(w).tenant = id }

// noteError notes what went wrong, for the log.
func noteError(w http.ResponseWriter, err error) {
	rec := recorderOf(w)
	rec.err = errors.Join(rec.err, err)
}

// streaming gives each further read and write of the exchange as long as a
// person may take who pages through it. The request keeps its place to the end: its
// work is not done when the answer begins.
func streaming(w http.ResponseWriter) *recorder {
	rec := recorderOf(w)
	rec.stall, rec.begins = streamTimeout, nil
	return rec
}
