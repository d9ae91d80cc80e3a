package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// maxBody bounds a JSON body, in bytes.
const maxBody = 1 << 20

// members are the members that a JSON object may have, each with where its
// value goes: a pointer to a string, an integer or a [store.Timestamp], or to a
// pointer to a string, an integer or a bool for what may be absent, or a
// [json.RawMessage] for anything, or notKept.
type members map[string]any

// notKept takes a text of at most 16 KiB that others put into the same request,
// and of which nothing is kept, logged or told.
type notKept struct{}

// readBody reads a JSON object into m. A body that is absent is an object
// without members. What is refused: another content type, more than maxBody,
// invalid UTF-8, anything but one object, and in it an unknown member, one that
// is there twice, and a value of another type, null included.
func readBody(w http.ResponseWriter, r *request, m members) error {
	data, err := readJSON(w, r, client.ContentJSON)
	if err != nil || len(data) == 0 {
		return err
	}
	return decodeObject(data, m)
}

// readJSON reads a body that is absent or of one of the content types, in valid
// UTF-8.
func readJSON(w http.ResponseWriter, r *request, contentTypes ...string) ([]byte, error) {
	data, err := readAll(w, r)
	if err != nil || len(data) == 0 {
		return nil, err
	}
	if err := checkContentType(r.Header, contentTypes...); err != nil {
		return nil, err
	}
	if !utf8.Valid(data) {
		return nil, store.Errorf(store.Invalid, "body: not valid UTF-8")
	}
	return data, nil
}

// readAll reads a body, for which observe has set a deadline.
func readAll(w http.ResponseWriter, r *request) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return data, nil
	case errors.As(err, &tooLarge):
		return nil, &refusal{http.StatusRequestEntityTooLarge,
			store.Errorf(store.Invalid, "body: larger than %d bytes", tooLarge.Limit)}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &refusal{http.StatusRequestTimeout,
			store.Errorf(store.Unavailable, "body: did not arrive within %s", bodyTimeout)}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, store.Errorf(store.Invalid, "body: it ends too early")
	}
	// Its text may repeat what was sent: it is not for the answer.
	return nil, store.Errorf(store.Invalid, "body: its chunks or trailers are malformed")
}

// checkContentType refuses a content type that is not wanted, two of them, and a
// body that is compressed: none is read in another form than it says.
func checkContentType(h http.Header, want ...string) error {
	if coding := strings.Join(h.Values("Content-Encoding"), ", "); coding != "" && !strings.EqualFold(coding, "identity") {
		return &refusal{http.StatusUnsupportedMediaType, store.Errorf(store.Invalid, "content type with the encoding %s: want none", store.Quote(coding))}
	}
	header := strings.Join(h.Values("Content-Type"), ", ")
	mediaType, params, err := mime.ParseMediaType(header)
	charset := params["charset"]
	if err == nil && slices.Contains(want, mediaType) && (charset == "" || strings.EqualFold(charset, "utf-8")) {
		return nil
	}
	return &refusal{http.StatusUnsupportedMediaType,
		store.Errorf(store.Invalid, "content type %s: want %s", store.Quote(header), strings.Join(want, " or "))}
}

// decodeObject reads one JSON object.
func decodeObject(data []byte, m members) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil {
		return syntax(dec, err)
	} else if t != json.Delim('{') {
		return store.Errorf(store.Invalid, "body: want a JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return syntax(dec, err)
		}
		name := t.(string) // the decoder takes nothing else here
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return syntax(dec, err)
		}
		to, ok := m[name]
		switch {
		case !ok && len(m) == 0:
			return store.Errorf(store.Invalid, "member %s: there are none here", store.Quote(name)).At(cut(name))
		case !ok:
			return store.Errorf(store.Invalid, "member %s: want %s", store.Quote(name),
				strings.Join(slices.Sorted(maps.Keys(m)), ", ")).At(cut(name))
		case seen[name]:
			return store.Errorf(store.Invalid, "member %s: given twice", name).At(name)
		}
		seen[name] = true
		if err := decodeValue(name, value, to); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return syntax(dec, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return store.Errorf(store.Invalid, "body: there is more after the JSON object, at byte %d", dec.InputOffset())
	}
	return nil
}

// syntax returns the error for a body that is not JSON.
func syntax(dec *json.Decoder, err error) error {
	var number *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("it ends too early")
	case errors.As(err, &number): // and quotes it whole
		err = errors.New("a number is out of range")
	}
	return store.Errorf(store.Invalid, "body: not JSON, near byte %d: %w", dec.InputOffset(), err)
}

// decodeValue reads the value of one member.
func decodeValue(name string, value json.RawMessage, to any) error {
	want := "a whole number"
	switch to := to.(type) {
	case *string:
		want = "a string"
		if string(value) != "null" && json.Unmarshal(value, to) == nil && !loneSurrogate(value) {
			return nil
		}
	case *store.Timestamp:
		var s string
		want = `a time such as "2026-01-05T10:00:00.000Z"`
		if string(value) == "null" || json.Unmarshal(value, &s) != nil {
			break
		}
		t, err := store.ParseTime(name, s)
		to.Time = t
		return err
	case **string:
		want = "a string"
		var s string
		if string(value) != "null" && json.Unmarshal(value, &s) == nil && !loneSurrogate(value) {
			*to = &s
			return nil
		}
	case **bool:
		want = "true or false"
		if string(value) != "null" && json.Unmarshal(value, to) == nil {
			return nil
		}
	case *json.RawMessage:
		*to = value
		return nil
	case notKept:
		var s string
		if string(value) == "null" || json.Unmarshal(value, &s) != nil || loneSurrogate(value) || store.CheckText(name, s, 16<<10) != nil {
			return store.Errorf(store.Invalid, "%s: want a text of at most 16 KiB without control characters", name).At(name)
		}
		return nil
	case *int, *int64, **int:
		if string(value) != "null" && json.Unmarshal(value, to) == nil {
			return nil
		}
	default:
		panic(fmt.Sprintf("api: member %q is a %T", name, to))
	}
	return store.Errorf(store.Invalid, "%s %s: want %s", name, shown(value), want).At(name)
}

// shown returns a JSON value for a message: a scalar as it was written, cut to a
// readable length and without what cannot be seen.
func shown(value []byte) string {
	switch value[0] {
	case '{':
		return "(an object)"
	case '[':
		return "(an array)"
	}
	return string(visible([]byte(cut(string(value)))))
}

// loneSurrogate reports whether a JSON string holds half of a UTF-16 pair, for
// which encoding/json puts U+FFFD without an error.
func loneSurrogate(value []byte) bool {
	for i := 0; i < len(value); i++ {
		if value[i] != '\\' {
			continue
		}
		if i++; value[i] != 'u' {
			continue
		}
		first := unit(value[i+1:])
		i += 4
		if !utf16.IsSurrogate(first) {
			continue
		}
		rest := value[i+1:]
		if !bytes.HasPrefix(rest, []byte(`\u`)) || utf16.DecodeRune(first, unit(rest[2:])) == utf8.RuneError {
			return true
		}
		i += 6
	}
	return false
}

// unit reads the four hexadecimal digits of an escape, which are sound.
func unit(digits []byte) rune {
	n, _ := strconv.ParseUint(string(digits[:4]), 16, 32)
	return rune(n)
}
