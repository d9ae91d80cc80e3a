package main

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"
)

// configPage returns the page purger.yaml(5), made of a configuration file that
// has a comment above each key.
func configPage(text []byte, about manAbout) (string, error) {
	var file yaml.Node
	if err := yaml.Unmarshal(text, &file); err != nil {
		return "", err
	}
	if file.Kind != yaml.DocumentNode || file.Content[0].Kind != yaml.MappingNode {
		return "", errors.New("want a configuration file with every key in it")
	}
	r := about.header("purger.yaml", "5")
	r.macro("SH", "NAME")
	r.line(`purger.yaml \- configuration of purger`)
	r.macro("SH", "SYNOPSIS")
	r.line(roffItalic("/etc/purger/purger.yaml"))
	r.macro("SH", "DESCRIPTION")
	r.prose(manComment(&file))
	r.macro("SH", "KEYS")
	manKeys(r, "", file.Content[0])
	r.macro("SH", "SEE ALSO")
	r.line(roffBold("purger") + "(1), " + roffBold("purger-config") + "(1)")
	return r.String(), nil
}

// manKeys adds every key below a mapping, a section before what is in it.
func manKeys(r *roff, prefix string, mapping *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		path := prefix + key.Value
		comment := manComment(key)
		if value.Kind == yaml.MappingNode {
			if comment != "" {
				r.item(roffBold(path), comment)
			}
			manKeys(r, path+".", value)
			continue
		}
		tag := roffBold(path+":") + " "
		switch {
		case value.Kind == yaml.SequenceNode:
			tag += "[]"
		case value.Style == yaml.DoubleQuotedStyle:
			tag += roffEscape(`"` + value.Value + `"`)
		default:
			tag += roffEscape(value.Value)
		}
		r.item(tag, comment)
	}
}

// manComment returns the comment above a node as plain text.
func manComment(n *yaml.Node) string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(n.HeadComment), "\n") {
		lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(line, "#"), " "))
	}
	return strings.Join(lines, "\n")
}
