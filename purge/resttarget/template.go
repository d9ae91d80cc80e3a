package resttarget

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// place is where in a request a template stands.
type place int

const (
	inPath place = iota
	inQuery
	inHeader
	inJSON
	inForm
)

// The names of what is filled in.
const (
	varTenant = "tenant"
	varID     = "id"
	varLimit  = "limit"
	varCursor = "cursor"
	varOffset = "offset"
	varPage   = "page"
)

// vars are the values to be filled in, by name.
type vars map[string]string

// hole matches what looks like something to be filled in. Other braces are
// literal in a body, where JSON has many.
var hole = regexp.MustCompile(`\{([a-zA-Z]+)(\|[a-zA-Z]*)?\}`)

// part is literal text and then, unless both are "", the value name or reference.
type part struct {
	literal string
	name    string
	quoted  bool
	where   place
	// reference is what stands for a secret, and is shown in its place.
	reference, secret string
}

// template is a text with values to be filled in.
type template []part

// parse takes a text apart, of which errors show no secret. allowed are the names
// that have a value. What a secret looks like is no matter: it is a value, too.
func parse(text string, where place, secrets httpcall.Secrets, allowed ...string) (template, error) {
	var t template
	for _, piece := range secrets.Split(text) {
		if piece.Reference {
			p := part{reference: piece.Text, secret: piece.Secret, where: where}
			if _, err := p.escapeSecret(); err != nil {
				return nil, err
			}
			t = append(t, p)
			continue
		}
		literal, err := parseLiteral(piece.Text, where, allowed)
		if err != nil {
			return nil, err
		}
		t = append(t, literal...)
	}
	if t == nil {
		t = template{{where: where}}
	}
	return t, nil
}

// parseLiteral takes a text without references apart.
func parseLiteral(text string, where place, allowed []string) (template, error) {
	var t template
	rest := 0
	for _, m := range hole.FindAllStringSubmatchIndex(text, -1) {
		p := part{literal: text[rest:m[0]], name: text[m[2]:m[3]], where: where}
		if m[4] >= 0 {
			if filter := text[m[4]+1 : m[5]]; filter != "quoted" {
				return nil, fmt.Errorf("%s: the only filter is |quoted", text[m[0]:m[1]])
			}
			p.quoted = true
		}
		known := false
		for _, a := range allowed {
			known = known || a == p.name
		}
		if !known {
			return nil, fmt.Errorf("%s: nothing to fill in here; there is {%s}", text[m[0]:m[1]], strings.Join(allowed, "}, {"))
		}
		t = append(t, p)
		rest = m[1]
	}
	return append(t, part{literal: text[rest:], where: where}), nil
}

// has reports whether a value of that name is filled in.
func (t template) has(name string) bool {
	for _, p := range t {
		if p.name == name {
			return true
		}
	}
	return false
}

// fill returns the text with the values and secrets, each escaped as its place needs
// it.
func (t template) fill(v vars) (string, error) {
	var b strings.Builder
	for _, p := range t {
		b.WriteString(p.literal)
		s, err := p.value(v)
		if err != nil {
			return "", err
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

// value returns what comes behind the literal text, escaped.
func (p part) value(v vars) (string, error) {
	switch {
	case p.reference != "":
		return p.escapeSecret()
	case p.name != "":
		s, err := p.escape(v[p.name])
		if err != nil { // without the value, which may be an e-mail address
			return "", store.Errorf(store.Invalid, "{%s}: %w", p.name, err)
		}
		return s, nil
	}
	return "", nil
}

// escapeSecret returns the secret, escaped. Its error does not show it.
func (p part) escapeSecret() (string, error) {
	if p.where == inHeader { // it is as long and has as many words as it has
		if !httpguts.ValidHeaderFieldValue(p.secret) {
			return "", store.Errorf(store.Invalid, "%s: it has characters that no header can have, such as a line feed", p.reference)
		}
		return p.secret, nil
	}
	s, err := p.escape(p.secret)
	if err != nil {
		return "", store.Errorf(store.Invalid, "%s: the secret cannot be here: in a path no . and .., in JSON nothing but UTF-8", p.reference)
	}
	return s, nil
}

func (p part) escape(s string) (string, error) {
	if p.quoted {
		q, err := httpcall.Quoted(s)
		if err != nil {
			return "", err
		}
		s = q
	}
	switch p.where {
	case inPath:
		return httpcall.PathSegment(s)
	case inHeader:
		// A server may trim, fold or split what is not plain.
		for i := range len(s) {
			if s[i] <= ' ' || s[i] > '~' || s[i] == ',' {
				return "", store.Errorf(store.Invalid, "it has a character that cannot be put into a header")
			}
		}
		return s, nil
	case inJSON:
		return httpcall.JSONString(s)
	default:
		return httpcall.Escape(s), nil
	}
}

// parseURL takes a URL apart. Values go into the path and the query alone, and
// in the path they are whole segments or parts of them, never "/".
func parseURL(text string, secrets httpcall.Secrets, allowed ...string) (template, error) {
	if strings.HasPrefix(text, "//") || !strings.HasPrefix(text, "/") && !strings.Contains(text, "://") {
		return nil, fmt.Errorf("%q; want a path that begins with / or a whole URL", text)
	}
	t, err := parse(text, inQuery, secrets, allowed...)
	if err != nil {
		return nil, err
	}
	where, begin := inPath, ""
	for i, p := range t {
		if strings.ContainsAny(p.literal, "{}#") {
			return nil, fmt.Errorf("%q: a brace or # that is not escaped", text)
		}
		if strings.Contains(p.literal, "?") {
			where = inQuery
		}
		t[i].where = where
		begin += p.literal
		if where == inPath && (p.name != "" || p.reference != "") {
			if !httpcall.ReachesPath(begin) {
				return nil, fmt.Errorf("%q: nothing can be filled in before the path", text)
			}
			begin += "x"
		}
	}
	sample, err := t.fill(samples)
	if err != nil {
		return nil, err
	}
	if _, err := url.Parse(sample); err != nil {
		return nil, fmt.Errorf("%q: not a URL", text)
	}
	return t, nil
}

// parseBody takes a body apart and makes sure that text stands between quotes.
func parseBody(text, contentType string, secrets httpcall.Secrets, allowed ...string) (template, error) {
	switch contentType {
	case "", "application/json":
	case "application/x-www-form-urlencoded":
		return parse(text, inForm, secrets, allowed...)
	default:
		return nil, fmt.Errorf("contentType %q; want application/json or application/x-www-form-urlencoded", contentType)
	}
	t, err := parse(text, inJSON, secrets, allowed...)
	if err != nil {
		return nil, err
	}
	tried := slices.Clone(t)
	for i := range tried { // a secret of digits would pass outside of quotes
		tried[i].secret = samples[varID]
	}
	sample, err := tried.fill(samples)
	if err != nil {
		return nil, err
	}
	if !json.Valid([]byte(sample)) {
		return nil, fmt.Errorf("not JSON once it is filled in; texts such as {tenant}, and secrets, go between quotes")
	}
	return t, nil
}

// samples try out templates. The texts would break JSON outside of quotes.
var samples = vars{varTenant: `t"x`, varID: `i"x`, varCursor: `c"x`, varLimit: "1", varOffset: "0", varPage: "1"}
