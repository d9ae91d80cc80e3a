package config

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The sizes up to which the line of an error is looked for; the work grows with
// their product.
const (
	maxSearchLines = 500
	maxSearchBytes = 64 << 10
)

// syntax returns what the YAML reader found, which ends the reading.
func syntax(file string, data []byte, err error) Problem {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = strings.TrimPrefix(msg, m[0])
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	if len(lines) <= maxSearchLines && len(data) <= maxSearchBytes {
		line = badLine(lines)
	}
	return Problem{File: file, Line: line, Want: fmt.Sprintf("not YAML: %s; %s", short(msg), hint(lines, line, msg))}
}

// badLine returns the first line that cannot follow those before it. The
// reader's own line is often another one, such as that before, or the end of
// the file for a quote that is open from the first line on.
func badLine(lines [][]byte) int {
	for n := len(lines) - 1; n > 0; n-- {
		if isYAML(bytes.Join(lines[:n], nil)) {
			return n + 1
		}
	}
	return 1
}

// isYAML reports whether every document of the data can be read.
func isYAML(data []byte) bool {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		switch n, err := next(dec); {
		case err != nil:
			return false
		case n == nil:
			return true
		}
	}
}

// hint says what would be right in a line that is not YAML, for the mistakes
// that are usual in a configuration.
func hint(lines [][]byte, line int, msg string) string {
	var text []byte
	if line > 0 && line <= len(lines) {
		text = lines[line-1]
	}
	_, value, _ := bytes.Cut(text, []byte(":"))
	content := bytes.TrimLeft(text, " \t")
	switch {
	case bytes.HasPrefix(bytes.TrimSpace(value), []byte("*")), strings.HasPrefix(msg, "unknown anchor"):
		return `put a value that begins with "*" in quotes`
	case bytes.ContainsRune(text[:len(text)-len(content)], '\t'):
		return "indent with spaces instead of tabs"
	}
	return "want YAML"
}
