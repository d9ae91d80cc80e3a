package commandtarget

import (
	"bytes"
	"errors"
	"strconv"
	"sync"

	"go.uber.org/zap"
)

// errTooMuch ends the reading of a program that writes more than it may.
var errTooMuch = errors.New("too much output")

// bounded keeps up to max bytes. It is used by one goroutine; full may be
// watched by others.
type bounded struct {
	buf  bytes.Buffer
	max  int64
	once sync.Once
	full chan struct{} // closed when there was more
}

func newBounded(limit int64) *bounded { return &bounded{max: limit, full: make(chan struct{})} }

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if room := b.max - int64(b.buf.Len()); int64(len(p)) > room {
		b.once.Do(func() { close(b.full) })
		return 0, errTooMuch
	}
	return b.buf.Write(p)
}

// maxLine bounds one line in the log, in bytes before escaping.
const maxLine = 1024

// lines writes what it is given to a log, line by line, as text that no terminal
// and no reader of logs takes for anything else. It never fails, so that a
// program that says much is not ended by it. It is used by one goroutine.
type lines struct {
	log    *zap.Logger
	left   int64 // bytes that may still be logged
	line   []byte
	cut    bool // the rest of the line is left out
	missed int64
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		part, rest, ended := bytes.Cut(p, []byte{'\n'})
		p = rest
		room := int(min(l.left, int64(maxLine-len(l.line))))
		if room < len(part) {
			l.missed += int64(len(part) - room)
			l.cut = true
			part = part[:room]
		}
		l.line = append(l.line, part...)
		l.left -= int64(len(part))
		if ended {
			l.flush()
		}
	}
	return n, nil
}

// flush logs the line so far.
func (l *lines) flush() {
	if len(l.line) > 0 {
		text := escape(string(l.line))
		if l.cut {
			text += "..."
		}
		l.log.Info("the program of a target says", zap.String("line", text))
	}
	l.line, l.cut = l.line[:0], false
}

// close logs the last line, and how much was left out.
func (l *lines) close() {
	l.flush()
	if l.missed > 0 {
		l.log.Warn("the program of a target says more than is logged", zap.Int64("bytesLeftOut", l.missed))
	}
}

// escape returns s with everything escaped that is not visible as what it is.
func escape(s string) string {
	q := strconv.QuoteToGraphic(s)
	return q[1 : len(q)-1]
}
