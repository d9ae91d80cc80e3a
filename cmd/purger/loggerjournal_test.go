package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/cmd/internal/config"
)

// journalRecord is what a journal was given.
type journalRecord struct {
	Message  string
	Priority journal.Priority
	Fields   map[string]string
}

// fakeJournal returns a logger to a journal that keeps what it is given, and
// refuses it when refuse is set, and what was written to stderr instead.
func fakeJournal(t *testing.T, format string, refuse error) (*zap.Logger, zap.AtomicLevel, *[]journalRecord, *bytes.Buffer) {
	t.Helper()
	var (
		got    []journalRecord
		stderr bytes.Buffer
	)
	level := zap.NewAtomicLevelAt(zapcore.DebugLevel)
	core := newJournalCore(config.Log{Format: format}, level, zapcore.AddSync(&stderr))
	core.send = func(message string, p journal.Priority, vars map[string]string) error {
		got = append(got, journalRecord{message, p, vars})
		return refuse
	}
	return zap.New(core), level, &got, &stderr
}

func TestJournal_TheLevelIsThePriority(t *testing.T) {
	logger, level, got, stderr := fakeJournal(t, "auto", nil)
	for _, c := range []struct {
		level zapcore.Level
		want  journal.Priority
	}{{zap.DebugLevel, 7}, {zap.InfoLevel, 6}, {zap.WarnLevel, 4}, {zap.ErrorLevel, 3}, {zap.DPanicLevel, 2}} {
		*got = nil
		logger.Log(c.level, "x")
		if len(*got) != 1 || (*got)[0].Priority != c.want {
			t.Errorf("%s: %+v; want priority %d", c.level, *got, c.want)
		}
	}
	*got = nil
	level.SetLevel(zap.WarnLevel)
	logger.Named("web").With(zap.String("a", "b")).Info("x")
	if len(*got) != 0 {
		t.Errorf("below the level: %+v", *got)
	}
	if stderr.Len() > 0 {
		t.Errorf("on stderr: %s", stderr)
	}
}

func TestJournal_FieldsAreThoseOfTheRecord(t *testing.T) {
	logger, _, got, _ := fakeJournal(t, "auto", nil)
	logger = logger.Named("purge").With(zap.String("tenant", "acme"))
	logger.With(zap.Bool("lost", true)) // a branch of its own
	logger.Warn("it waits", zap.Time("next_run", time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)),
		zap.Duration("took", 1500*time.Millisecond), zap.Int64("users", -1), zap.Strings("hosts", []string{"a", "b"}),
		zap.Error(errors.New("no")), zap.String("tls.Version", "1.3"), zap.String(strings.Repeat("ä", 50), "long"))
	want := []journalRecord{{Priority: journal.PriWarning, Fields: map[string]string{
		"SYSLOG_IDENTIFIER": "purger", "PURGER_LOGGER": "purge", "PURGER_TENANT": "acme",
		"PURGER_NEXT_RUN": "2026-01-02T03:04:05.006Z", "PURGER_TOOK": "1.5s", "PURGER_USERS": "-1",
		"PURGER_HOSTS": `["a","b"]`, "PURGER_ERROR": "no", "PURGER_TLS_VERSION": "1.3",
		"PURGER_" + strings.Repeat("_", 50): "long",
	}}}
	want[0].Message = `purge  it waits  {"tenant": "acme", "next_run": "2026-01-02T03:04:05.006Z", "took": "1.5s", "users": -1, ` +
		`"hosts": ["a", "b"], "error": "no", "tls.Version": "1.3", "` + strings.Repeat("ä", 50) + `": "long"}`
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Error(diff)
	}
}

func TestJournal_FormatJSONIsTheLineOfEverywhereElse(t *testing.T) {
	logger, _, got, _ := fakeJournal(t, "json", nil)
	logger.Info("x", zap.String("tenant", "acme"))
	if m := (*got)[0].Message; !strings.HasPrefix(m, `{"level":"info","time":"20`) || !strings.HasSuffix(m, `"msg":"x","tenant":"acme"}`) {
		t.Errorf("the message is %s", m)
	}
}

func TestJournalName_IsOneThatJournaldKeeps(t *testing.T) {
	for key, want := range map[string]string{
		"": "PURGER_", "a=b\n_PID": "PURGER_A_B__PID", "Ready9": "PURGER_READY9",
		strings.Repeat("x", 100): "PURGER_" + strings.Repeat("X", 57),
	} {
		if got := journalName(key); got != want {
			t.Errorf("journalName(%q) = %q; want %q", key, got, want)
		}
	}
}

// TestJournal_G4_NothingWithinARecordBeginsAnother is about what goes to stderr
// when the journal does not take a record: every line of it, also where journald
// would cut it, has to begin with the priority that it has.
func TestJournal_G4_NothingWithinARecordBeginsAnother(t *testing.T) {
	logger, _, _, stderr := fakeJournal(t, "auto", syscall.ECONNREFUSED)
	hostile := strings.Repeat("\n<0>forged\r\x00", 20_000) + strings.Repeat("<0>", 40_000)
	logger.Named("\n<0>").Warn("a message\n<0>of another's\n", zap.String("tenant", hostile), zap.String("\n<0>key", "v"))
	var whole strings.Builder
	lines := strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n")
	for _, l := range lines {
		text, ok := strings.CutPrefix(l, "<4>")
		if !ok || len(l) > 48<<10-1 {
			t.Fatalf("a line of %d bytes begins with %.20q", len(l), l)
		}
		whole.WriteString(text)
	}
	if len(lines) < 5 || !strings.HasSuffix(whole.String(), `","\n<0>key":"v"}`) {
		t.Errorf("%d lines, the last one ends with %q", len(lines), lines[len(lines)-1])
	}
	if n := strings.Count(whole.String(), "forged"); n != 20_000 {
		t.Errorf("%d parts of the value are left", n)
	}
}

func TestPriorityWriter_PutsThePriorityBeforeEveryLine(t *testing.T) {
	var b bytes.Buffer
	n, err := fmt.Fprint(priorityWriter{&b, journal.PriErr}, "a\n\nb")
	if want := "<3>a\n<3>\n<3>b\n"; b.String() != want || n != 4 || err != nil {
		t.Errorf("%q, %d, %v; want %q", b.String(), n, err, want)
	}
	if _, err := (priorityWriter{failingWriter{}, journal.PriErr}).Write([]byte("x\n")); err == nil {
		t.Error("a failure is not told")
	}
}

// writeJournalRecords logs what deploy/systemd/test.sh looks for in a real
// journal: a record of each level, one with a value that tries to be another
// record, and one that no datagram takes. It ends with SIGTERM: journald looks up
// whose a record is while the process is there.
func writeJournalRecords() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	logger, _ := newLogger(config.Log{Level: "debug", Format: "auto"}, os.Stderr)
	for _, l := range []zapcore.Level{zap.DebugLevel, zap.InfoLevel, zap.WarnLevel, zap.ErrorLevel} {
		logger.Log(l, "of a level", zap.String("tenant", "acme"), zap.Stringer("of", l))
	}
	logger.Info("hostile\n<0>forged", zap.String("tenant", "a\n<0>forged\nPRIORITY=0\nMESSAGE=forged\n"))
	logger.Warn("large", zap.String("tenant", "large"), zap.String("data", strings.Repeat("x", 1<<20)+"end"))
	<-ctx.Done()
}

// failingWriter is a stream whose other end is gone.
type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestToJournal_OnlyAStreamToTheJournalIsOne(t *testing.T) {
	var stat syscall.Stat_t
	if err := syscall.Fstat(syscall.Stderr, &stat); err != nil {
		t.Fatal(err)
	}
	other, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	here := fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
	for env, want := range map[string]bool{here: true, "": false, "1:1": false, "soon": false} {
		t.Setenv("JOURNAL_STREAM", env)
		if got := toJournal(os.Stderr); got != want {
			t.Errorf("JOURNAL_STREAM=%q: %t; want %t", env, got, want)
		}
	}
	t.Setenv("JOURNAL_STREAM", here)
	if toJournal(other) || toJournal(&bytes.Buffer{}) {
		t.Error("what is not stderr is taken for the journal")
	}
	if console(config.Log{Format: "console"}, os.Stderr) {
		t.Error("the journal is taken for somebody who sits before it")
	}
}
