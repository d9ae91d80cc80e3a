package config

import (
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// step matches one part of a path: a key, or the number of an item.
var step = regexp.MustCompile(`\[(\d+)\]|[^.\[\]]+`)

// Line returns the line of what stands at a path of a file, such as
// "targets[0].kinds.user.delete", or of as much of the path as there is. It is 0
// when the file cannot be read: then there are worse problems.
func Line(file, path string) int {
	data, err := readFile(file)
	if err != nil {
		return 0
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil || len(doc.Content) == 0 {
		return 0
	}
	n, line := doc.Content[0], 0
	for _, m := range step.FindAllStringSubmatch(path, -1) {
		switch i, err := strconv.Atoi(m[1]); {
		case err == nil && n.Kind == yaml.SequenceNode && i < len(n.Content):
			n = n.Content[i]
			line = n.Line
		case err != nil:
			at := keyAt(n, m[0])
			if at < 0 {
				return line
			}
			line, n = n.Content[at].Line, n.Content[at+1]
		default:
			return line
		}
	}
	return line
}

// keyAt returns where in the content of a mapping a key is, -1 when it is not.
func keyAt(n *yaml.Node, key string) int {
	if n == nil || n.Kind != yaml.MappingNode {
		return -1
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return i
		}
	}
	return -1
}
