package ndjson

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tenantpurge/purger/store"
)

// maxNesting is how deep a value may nest, which is what encoding/json takes.
const maxNesting = 10000

// scanner reads the JSON text of one line. It exists because encoding/json
// takes members twice and in any letter case, null for everything, and repairs
// bad UTF-8 silently. Every method begins at the next byte that is not white
// space and leaves the scanner behind what it read. The errors are those of
// syntax, after which nothing more can be read from the line.
type scanner struct {
	text []byte // valid UTF-8
	pos  int
}

// peek returns the next byte that is not white space, 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; c {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// unexpected returns the error for what is found at the position.
func (s *scanner) unexpected(want string) error {
	s.peek()
	if s.pos >= len(s.text) {
		return store.Errorf(store.Invalid, "column %d: the line ends here: want %s", s.pos+1, want)
	}
	r, _ := utf8.DecodeRune(s.text[s.pos:])
	return store.Errorf(store.Invalid, "column %d: %s: want %s", s.pos+1, strconv.QuoteRune(r), want)
}

// take moves past one byte.
func (s *scanner) take(c byte, want string) error {
	if s.peek() != c {
		return s.unexpected(want)
	}
	s.pos++
	return nil
}

// object reads an object. member is called at the value of each member and
// must move past it; its name is valid until it returns.
func (s *scanner) object(member func(name []byte) error) error {
	if err := s.take('{', "a JSON object"); err != nil {
		return err
	}
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	for {
		if s.peek() != '"' {
			return s.unexpected("the name of a member in double quotes")
		}
		name, err := s.str()
		if err != nil {
			return err
		}
		if err := s.take(':', "a colon"); err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return nil
		default:
			return s.unexpected("a comma or a closing brace")
		}
	}
}

// end checks that nothing follows.
func (s *scanner) end() error {
	if s.peek() != 0 || s.pos < len(s.text) {
		return s.unexpected("nothing after the object")
	}
	return nil
}

// str reads a string. The result may be a part of the text.
func (s *scanner) str() ([]byte, error) {
	if err := s.take('"', "a string"); err != nil {
		return nil, err
	}
	start := s.pos
	for ; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return s.text[start : s.pos-1], nil
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			return nil, s.control()
		}
	}
	return nil, s.unexpected("the closing quote of the string that begins at column " + strconv.Itoa(start))
}

// control is the error for a raw control character in a string.
func (s *scanner) control() error {
	return store.Errorf(store.Invalid, "column %d: %q in a string: want it escaped", s.pos+1, s.text[s.pos])
}

// escaped reads the rest of a string from its first backslash on.
func (s *scanner) escaped(start int) ([]byte, error) {
	out := bytes.Clone(s.text[start:s.pos])
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return out, nil
		case c < ' ':
			return nil, s.control()
		case c != '\\':
			out = append(out, c)
			s.pos++
		default:
			r, err := s.escape()
			if err != nil {
				return nil, err
			}
			out = utf8.AppendRune(out, r)
		}
	}
	return nil, s.unexpected("the closing quote of the string that begins at column " + strconv.Itoa(start))
}

// escape reads one escape sequence, or the two of a surrogate pair.
func (s *scanner) escape() (rune, error) {
	const plain, meaning = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	at := s.pos
	if s.pos+1 < len(s.text) {
		if i := strings.IndexByte(plain, s.text[s.pos+1]); i >= 0 {
			s.pos += 2
			return rune(meaning[i]), nil
		}
	}
	r, ok := s.hex()
	if !ok {
		return 0, store.Errorf(store.Invalid, "column %d: bad escape in a string: want one of %s or four hexadecimal digits after \\u", at+1, plain)
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	low, ok := s.hex()
	if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
		return pair, nil
	}
	return 0, store.Errorf(store.Invalid, "column %d: half a surrogate pair, \\u%04x, is not a character", at+1, r)
}

// hex reads \uXXXX.
func (s *scanner) hex() (rune, bool) {
	if s.pos+6 > len(s.text) || s.text[s.pos] != '\\' || s.text[s.pos+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range s.text[s.pos+2 : s.pos+6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	s.pos += 6
	return r, true
}

// value moves past any value and returns its text. It finds where the value
// ends and does not check what is inside of it.
func (s *scanner) value() ([]byte, error) {
	c := s.peek()
	start := s.pos
	switch c {
	case '"':
		_, err := s.str()
		return s.text[start:s.pos], err
	case '{', '[':
		err := s.nested()
		return s.text[start:s.pos], err
	}
	n := bytes.IndexAny(s.text[start:], ",:{}[]\" \t\r\n")
	if n < 0 {
		n = len(s.text) - start
	}
	if n == 0 {
		return nil, s.unexpected("a value")
	}
	s.pos += n
	return s.text[start:s.pos], nil
}

// nested moves past an object or an array. It keeps no stack: what is inside is
// for encoding/json to check, where it is used.
func (s *scanner) nested() error {
	start, depth := s.pos, 0
	for ; s.pos < len(s.text); s.pos++ {
		switch s.text[s.pos] {
		case '"':
			for s.pos++; s.pos < len(s.text) && s.text[s.pos] != '"'; s.pos++ {
				if s.text[s.pos] == '\\' {
					s.pos++
				}
			}
		case '{', '[':
			if depth++; depth > maxNesting {
				return store.Errorf(store.Invalid, "column %d: nested too deeply: want at most %d levels", s.pos+1, maxNesting)
			}
		case '}', ']':
			if depth--; depth == 0 {
				s.pos++
				return nil
			}
		}
	}
	s.pos = len(s.text)
	return s.unexpected("the end of what begins at column " + strconv.Itoa(start+1))
}

// short renders the text of a value for a message: as it was written where it
// can be printed, and cut to a readable length.
func short(text []byte) string {
	const limit = 64
	s, cut := string(text), ""
	if len(s) > limit {
		s, cut = strings.ToValidUTF8(s[:limit], ""), "..."
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		s = strconv.Quote(s)
	}
	return s + cut
}
