package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"text/tabwriter"
)

// streamRows is how many rows of a table are aligned together.
const streamRows = 1000

// writeEach renders a sequence that may be too long to hold: a table whose
// columns are aligned over streamRows rows, a JSON array or a YAML sequence.
// After an error of the sequence what was written by then is cut short.
func writeEach[T any](f format, w io.Writer, heads []string, items iter.Seq2[T, error], cells func(T) []string) error {
	b := bufio.NewWriter(w)
	var err error
	switch f {
	case formatJSON:
		err = eachJSON(b, items)
	case formatYAML:
		err = eachYAML(b, items)
	default:
		err = eachRow(b, heads, items, cells)
	}
	if flushed := b.Flush(); err == nil {
		err = flushed
	}
	return err
}

// eachRow writes a table. Without any item there is only the head.
func eachRow[T any](w io.Writer, heads []string, items iter.Seq2[T, error], cells func(T) []string) error {
	t := &table{w: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	t.row(heads...)
	n := 0
	for item, err := range items {
		if err != nil {
			_ = t.w.Flush() // the error of the sequence is the one to tell
			return err
		}
		t.row(cells(item)...)
		if n++; n%streamRows == 0 {
			if err := t.w.Flush(); err != nil {
				return err
			}
		}
	}
	return t.w.Flush()
}

// eachJSON writes an array, one item after the other.
func eachJSON[T any](w io.Writer, items iter.Seq2[T, error]) error {
	before := "[\n  "
	for item, err := range items {
		if err != nil {
			return err
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("  ", "  ")
		if err := e.Encode(item); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s%s", before, bytes.TrimRight(b.Bytes(), "\n")); err != nil {
			return err
		}
		before = ",\n  "
	}
	end := "\n]\n"
	if before == "[\n  " {
		end = "[]\n"
	}
	_, err := io.WriteString(w, end)
	return err
}

// eachYAML writes a sequence, one item after the other.
func eachYAML[T any](w io.Writer, items iter.Seq2[T, error]) error {
	empty := true
	for item, err := range items {
		if err != nil {
			return err
		}
		if err := writeYAML(w, []T{item}); err != nil {
			return err
		}
		empty = false
	}
	if !empty {
		return nil
	}
	_, err := io.WriteString(w, "[]\n")
	return err
}

// firstOf ends a sequence after n items; 0 is no end.
func firstOf[T any](items iter.Seq2[T, error], n int) iter.Seq2[T, error] {
	if n == 0 {
		return items
	}
	return func(yield func(T, error) bool) {
		left := n
		for item, err := range items {
			if left--; !yield(item, err) || left == 0 {
				return
			}
		}
	}
}
