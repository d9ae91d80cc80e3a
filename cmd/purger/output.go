package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// format is a form of output: the value of --output.
type format string

// The forms. formatTable is what people read; it may change.
const (
	formatTable format = "table"
	formatJSON  format = "json"
	formatYAML  format = "yaml"
)

// String implements pflag.Value.
func (f *format) String() string { return string(*f) }

// Type implements pflag.Value; it stands for the value in the help.
func (f *format) Type() string { return "format" }

// Set implements pflag.Value.
func (f *format) Set(s string) error {
	if !slices.Contains([]format{formatTable, formatJSON, formatYAML}, format(s)) {
		return errors.New("want table, json or yaml")
	}
	*f = format(s)
	return nil
}

// outputFlag gives cmd the flag --output and returns where its value will be.
func outputFlag(cmd *cobra.Command) *format {
	f := formatTable
	cmd.Flags().VarP(&f, "output", "o", "form of the output: table, json or yaml")
	completion := cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp)
	// The flag was defined the line before, which is all that can go wrong.
	_ = cmd.RegisterFlagCompletionFunc("output", completion)
	return &f
}

// write renders v on w: as JSON or YAML, or as the table that fill fills.
func (f format) write(w io.Writer, v any, fill func(t *table)) error {
	switch f {
	case formatJSON:
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(v)
	case formatYAML:
		return writeYAML(w, v)
	}
	t := &table{w: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	fill(t)
	return t.w.Flush()
}

// table is aligned text. Cells are made harmless for the terminal.
type table struct {
	w *tabwriter.Writer
}

// row adds one line. A time or number is given as text; an empty cell shows as
// a hyphen, so that the columns can be cut apart.
func (t *table) row(cells ...string) {
	for i, c := range cells {
		if c = printable(c); c == "" {
			c = "-"
		}
		if i > 0 {
			fmt.Fprint(t.w, "\t")
		}
		fmt.Fprint(t.w, c)
	}
	fmt.Fprintln(t.w)
}

// field adds a line "name: value" unless the value is empty.
func (t *table) field(name, value string) {
	if value != "" {
		fmt.Fprintf(t.w, "%s:\t%s\n", name, printable(value))
	}
}

// text adds a line without columns.
func (t *table) text(format string, args ...any) {
	fmt.Fprintln(t.w, printable(fmt.Sprintf(format, args...)))
}

// writeYAML renders v as YAML with the members of its JSON form in their order.
func writeYAML(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	node, err := yamlNode(d)
	if err != nil {
		return err
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(node); err != nil {
		return err
	}
	return e.Close()
}

// yamlNode reads the next JSON value. Its depth is that of our own types.
func yamlNode(d *json.Decoder) (*yaml.Node, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := tok.(type) {
	case json.Delim:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if v == '{' {
			n = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		}
		// The decoder gives keys and values of an object by turns, as a mapping
		// node holds them.
		for d.More() {
			c, err := yamlNode(d)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, c)
		}
		_, err := d.Token() // the closing delimiter
		return n, err
	case string:
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
		if strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) }) {
			// As a block, which the encoder would choose, it may not read back:
			// one that begins with a tab does not.
			n.Style = yaml.DoubleQuotedStyle
		}
		return n, nil
	case json.Number:
		// Without a tag it is written as it is.
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}
