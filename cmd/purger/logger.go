package main

import (
	"context"
	"io"
	"log/slog"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/store"
)

// newLogger returns a logger on w, and its level, which can be changed. Values
// are fields and so are escaped in both forms: a newline in one does not begin
// a line.
func newLogger(l config.Log, w io.Writer) (*zap.Logger, zap.AtomicLevel) {
	level := zap.NewAtomicLevelAt(zapLevel(l.Level))
	out := zapcore.Lock(zapcore.AddSync(w))
	if toJournal(w) {
		return zap.New(newJournalCore(l, level, out)), level
	}
	encoder := zapcore.NewJSONEncoder(encoderConfig())
	if console(l, w) {
		encoder = consoleEncoder(encoderConfig())
	}
	return zap.New(zapcore.NewCore(encoder, out, level)), level
}

// encoderConfig returns what both forms have in common.
func encoderConfig() zapcore.EncoderConfig {
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey = "time"
	enc.EncodeTime = encodeTime
	enc.EncodeDuration = zapcore.StringDurationEncoder
	return enc
}

// consoleEncoder returns the form for people.
func consoleEncoder(enc zapcore.EncoderConfig) zapcore.Encoder {
	enc.EncodeLevel = zapcore.CapitalLevelEncoder
	enc.ConsoleSeparator = "  "
	return zapcore.NewConsoleEncoder(enc)
}

// console reports whether the log on w is for a person who sits before it. The
// journal is not: who reads it later wants records.
func console(l config.Log, w io.Writer) bool {
	return !toJournal(w) && (l.Format == "console" || l.Format == "auto" && terminal(w))
}

// zapLevel returns the level that a valid configuration names.
func zapLevel(s string) zapcore.Level {
	l, err := zapcore.ParseLevel(s)
	if err != nil {
		return zapcore.InfoLevel
	}
	return l
}

// encodeTime renders a time as everything else does: in UTC.
func encodeTime(t time.Time, enc zapcore.PrimitiveArrayEncoder) {
	enc.AppendString(store.FormatTime(t))
}

// slogHandler passes what exporter-toolkit logs on to zap. Groups, which it
// does not use, are left out of the names.
type slogHandler struct {
	logger *zap.Logger
}

// Enabled implements slog.Handler.
func (h slogHandler) Enabled(_ context.Context, l slog.Level) bool {
	return h.logger.Core().Enabled(fromSlog(l))
}

// Handle implements slog.Handler.
func (h slogHandler) Handle(_ context.Context, r slog.Record) error {
	var fields []zap.Field
	r.Attrs(func(a slog.Attr) bool {
		fields = append(fields, zap.Any(a.Key, a.Value.Any()))
		return true
	})
	h.logger.Log(fromSlog(r.Level), r.Message, fields...)
	return nil
}

// WithAttrs implements slog.Handler.
func (h slogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		h.logger = h.logger.With(zap.Any(a.Key, a.Value.Any()))
	}
	return h
}

// WithGroup implements slog.Handler.
func (h slogHandler) WithGroup(string) slog.Handler { return h }

// fromSlog returns the level of zap for one of slog.
func fromSlog(l slog.Level) zapcore.Level {
	switch {
	case l < slog.LevelInfo:
		return zapcore.DebugLevel
	case l < slog.LevelWarn:
		return zapcore.InfoLevel
	case l < slog.LevelError:
		return zapcore.WarnLevel
	}
	return zapcore.ErrorLevel
}
