package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parse reads the content of a file. set is what it says of each field.
func parse(file string, data []byte) (c Config, set map[string]*yaml.Node, problems []Problem) {
	if p, ok := checkText(file, data); !ok {
		return Default(), nil, []Problem{p}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	first, err := next(dec)
	if err != nil {
		return Default(), nil, []Problem{syntax(file, data, err)}
	}
	c, set, problems = decode(file, first)
	if first == nil {
		return c, set, problems
	}
	second, err := next(dec)
	switch {
	case err != nil:
		problems = append(problems, syntax(file, data, err))
	case second != nil:
		// An empty one begins behind the end of the file.
		line := min(second.Line, 1+bytes.Count(data, []byte("\n")))
		problems = append(problems, Problem{File: file, Line: line, Want: "a second document begins; want one, without ---"})
	}
	return c, set, problems
}

// next returns the root of the next document, nil when there is none.
func next(dec *yaml.Decoder) (*yaml.Node, error) {
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		return doc.Content[0], nil
	}
	return &doc, nil
}

// checkText refuses what the YAML reader would report without a line, take for
// UTF-16, or take for the end of a line where an editor shows none.
func checkText(file string, data []byte) (Problem, bool) {
	line := 1
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return Problem{File: file, Line: line, Value: fmt.Sprintf("byte 0x%02x", data[i]), Want: "want text in UTF-8"}, false
		case r == '\n':
			line++
		case r == '\r' && i+1 < len(data) && data[i+1] == '\n':
		case r != '\t' && unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return Problem{File: file, Line: line, Value: fmt.Sprintf("%U", r), Want: "want text without control characters"}, false
		}
		i += n
	}
	return Problem{}, true
}
