package config

import (
	"strconv"

	"github.com/tenantpurge/purger/store"
	"go.yaml.in/yaml/v3"
)

// written returns a value as it stands in the file, in one line.
func written(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "*" + short(n.Value)
	}
	switch {
	case n.ShortTag() == nullTag && n.Value == "":
		return "nothing"
	case n.ShortTag() == strTag:
		return quoted(n.Value)
	}
	return short(n.Value)
}

// hidden stands for a value that must not be shown.
const hidden = "<secret>"

// maxShown is how much of a text a problem shows, in bytes.
const maxShown = 64

// short cuts s to a readable length; one with characters that could forge a
// line of output is quoted.
func short(s string) string {
	if cut := cut(s); strconv.Quote(cut) == `"`+cut+`"` {
		return cut
	}
	return quoted(s)
}

// quoted cuts s to a readable length and quotes it.
func quoted(s string) string { return strconv.Quote(cut(s)) }

// cut cuts s between two characters.
func cut(s string) string {
	if begin := store.Cut(s, maxShown); begin != s {
		return begin + "..."
	}
	return s
}
