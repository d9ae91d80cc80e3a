package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/store"
)

// toJournal reports whether w is a stream to systemd's journal, as opposed to a
// terminal, a file or a pipe.
func toJournal(w io.Writer) bool {
	if w != io.Writer(os.Stderr) {
		return false
	}
	is, err := journal.StderrIsJournalStream()
	return is && err == nil
}

// journalCore hands each record to the journal by its native protocol: with the
// level as PRIORITY and every field as one of the journal's, so that
// "journalctl -p warning" and "journalctl PURGER_TENANT=acme" find it. The other
// way, a line on stderr with <4> before it, has no fields, and is cut at 48 KiB
// into lines that begin with whatever the cut left, such as <0>. Here values have
// lengths, so nothing within one can begin a record, and a record that is too
// large for a datagram goes as a file. With is safe for concurrent use, as is
// Write when send is.
type journalCore struct {
	zapcore.LevelEnabler
	message zapcore.Encoder // of the field MESSAGE
	fields  []zapcore.Field // of every record
	send    func(message string, p journal.Priority, vars map[string]string) error
	// fallback takes what the journal did not, in the form of line.
	fallback zapcore.WriteSyncer
	line     zapcore.Encoder
}

// newJournalCore returns a core to the journal of this machine. What that does
// not take goes to fallback.
func newJournalCore(l config.Log, level zapcore.LevelEnabler, fallback zapcore.WriteSyncer) *journalCore {
	enc := encoderConfig()
	c := &journalCore{LevelEnabler: level, send: journal.Send, fallback: fallback, line: zapcore.NewJSONEncoder(enc)}
	if l.Format == "json" {
		c.message = c.line
		return c
	}
	enc.TimeKey, enc.LevelKey = "", "" // the journal shows its own
	c.message = consoleEncoder(enc)
	return c
}

// With implements zapcore.Core.
func (c *journalCore) With(fields []zapcore.Field) zapcore.Core {
	clone := *c
	clone.fields = c.all(fields)
	return &clone
}

// Check implements zapcore.Core.
func (c *journalCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements zapcore.Core.
func (c *journalCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	fields = c.all(fields)
	text, err := c.message.EncodeEntry(e, fields)
	if err != nil {
		return err
	}
	defer text.Free()
	priority := journalPriority(e.Level)
	if c.send(strings.TrimSuffix(text.String(), "\n"), priority, journalFields(e, fields)) == nil {
		return nil
	}
	line, err := c.line.EncodeEntry(e, fields)
	if err != nil {
		return err
	}
	defer line.Free()
	_, err = priorityWriter{c.fallback, priority}.Write(line.Bytes())
	return err
}

// Sync implements zapcore.Core. There is nothing to wait for.
func (c *journalCore) Sync() error { return nil }

// all returns the fields of every record and these.
func (c *journalCore) all(fields []zapcore.Field) []zapcore.Field {
	return append(c.fields[:len(c.fields):len(c.fields)], fields...)
}

// journalPriority returns the priority of syslog for a level.
func journalPriority(l zapcore.Level) journal.Priority {
	switch {
	case l < zapcore.InfoLevel:
		return journal.PriDebug
	case l < zapcore.WarnLevel:
		return journal.PriInfo
	case l < zapcore.ErrorLevel:
		return journal.PriWarning
	case l == zapcore.ErrorLevel:
		return journal.PriErr
	}
	return journal.PriCrit
}

// journalFields returns the fields of a record under the names that they have in
// the journal.
func journalFields(e zapcore.Entry, fields []zapcore.Field) map[string]string {
	values := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(values)
	}
	vars := map[string]string{"SYSLOG_IDENTIFIER": "purger"}
	if e.LoggerName != "" {
		vars["PURGER_LOGGER"] = e.LoggerName
	}
	for key, v := range values.Fields {
		vars[journalName(key)] = journalValue(v)
	}
	return vars
}

// maxJournalName is the longest name that journald accepts for a field.
const maxJournalName = 64

// journalName returns the journal's name for a field: PURGER_NEXT_RUN for
// next_run. journald drops what has any other character in its name.
func journalName(key string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, key)
	return ("PURGER_" + name)[:min(len("PURGER_")+len(name), maxJournalName)]
}

// journalValue returns a value as text; what has parts is JSON.
func journalValue(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case time.Time:
		return store.FormatTime(v)
	case time.Duration, bool, int, int64, int32, uint, uint64, uint32, float64, float32:
		return fmt.Sprint(v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%q", fmt.Sprint(v))
	}
	return string(text)
}

// maxJournalLine is less than what journald takes for one line of a stream, 48
// KiB unless it was told otherwise.
const maxJournalLine = 32 << 10

// priorityWriter puts the priority before every line that goes to the journal
// through a stream, and before every part of one that is too long.
type priorityWriter struct {
	w        io.Writer
	priority journal.Priority
}

// Write implements io.Writer. p has to end where a line does.
func (w priorityWriter) Write(p []byte) (int, error) {
	var out bytes.Buffer
	for line := range bytes.Lines(p) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		for first := true; first || len(line) > 0; first = false {
			n := min(len(line), maxJournalLine)
			fmt.Fprintf(&out, "<%d>%s\n", w.priority, line[:n])
			line = line[n:]
		}
	}
	if _, err := w.w.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// forErrors returns what errors are written to that are text and no records:
// with their priority, when w goes to the journal. They are the last words of a
// process. journald knows whose a stream is, but whose a record is only as long
// as the process is there.
func forErrors(w io.Writer) io.Writer {
	if toJournal(w) {
		return priorityWriter{w, journal.PriErr}
	}
	return w
}
