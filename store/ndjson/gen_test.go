package ndjson

import (
	"fmt"
	"io"
)

// generator is an input of n lines that takes no memory: trees of six tenants
// (a root, three children, two grandchildren), each followed by its resources.
// With reverse the children come first.
type generator struct {
	n       int64
	perTree int64
	line    int64
	buf     []byte
}

// newGenerator returns an input of n lines with perTree lines a tree.
func newGenerator(n, perTree int64) *generator { return &generator{n: n, perTree: perTree} }

func (g *generator) Read(p []byte) (int, error) {
	for len(g.buf) < len(p) && g.line < g.n {
		g.buf = g.append(g.buf, g.line)
		g.line++
	}
	if len(g.buf) == 0 {
		return 0, io.EOF
	}
	n := copy(p, g.buf)
	g.buf = append(g.buf[:0], g.buf[n:]...)
	return n, nil
}

var generatedKinds = [...]string{"oauthClient", "apiKey", "credential", "user", "user", "user", "user"}

// append writes one line. Trees come in an order that is not that of ids.
func (g *generator) append(b []byte, line int64) []byte {
	tree, i := line/g.perTree*7919%10_000_019, line%g.perTree
	if i < 6 {
		k := 5 - i // children first
		parent := ""
		switch {
		case k >= 4:
			parent = fmt.Sprintf("tenant-%08d-1", tree)
		case k >= 1:
			parent = fmt.Sprintf("tenant-%08d-0", tree)
		}
		return fmt.Appendf(b, `{"type":"tenant","id":"tenant-%08d-%d","parentId":%q,"name":"Tenant %d","hostname":"t%d-%d.eu.example.com","status":"disabled","disabledAt":"2026-01-05T10:00:00.000Z","purgeAfterDays":30,"activeSubscriptions":0}`+"\n",
			tree, k, parent, tree, tree, k)
	}
	return fmt.Appendf(b, `{"type":%q,"tenantId":"tenant-%08d-%d","id":"r-%08d","data":{"email":"user%d@example.com","roles":["viewer","editor"]}}`+"\n",
		generatedKinds[i%7], tree, i*31%6, i*48271%1_000_003, i)
}
