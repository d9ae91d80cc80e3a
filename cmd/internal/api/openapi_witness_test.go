package api

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// seen is what the tests of the package have seen of the document.
var seen witnesses

// witnesses collect what was seen. They are safe for concurrent use.
type witnesses struct {
	mu        sync.Mutex
	exchanges int
	answers   map[string]int // by operationId and status
	late      []string       // problems of tests that had ended
}

// watcher looks at the exchanges of one handler in one test.
type watcher struct {
	mu       sync.Mutex
	problems []string
	ended    bool
}

// watch returns a handler that holds every exchange against the document. What
// does not fit fails the test.
func watch(t *testing.T, h http.Handler) http.Handler {
	t.Helper()
	if _, ok := h.(*Gate); ok {
		return watchPart(t, h, gatePart)
	}
	return watchPart(t, h, callsPart)
}

// watchPart is watch for a handler that answers some of the paths; what it says to
// others is that they are not there.
func watchPart(t *testing.T, h http.Handler, of daemonPart) http.Handler {
	t.Helper()
	w := &watcher{}
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended = true
		slices.Sort(w.problems)
		for i, p := range slices.Compact(w.problems) {
			if i == 20 {
				t.Errorf("and %d more", len(w.problems)-i)
				break
			}
			t.Errorf("not as %s has it: %s", DescriptionPath, p)
		}
	})
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		x := &seenExchange{request: r, of: of, cut: true}
		x.sent.whole = r.ContentLength == 0
		x.answer.whole = true
		out := &witnessed{ResponseWriter: rw, x: x}
		in := r.Clone(r.Context())
		if r.Body != nil && r.Body != http.NoBody {
			in.Body = &tee{ReadCloser: r.Body, to: &x.sent}
		}
		defer func() {
			out.begin(http.StatusOK)
			x.trailer = rw.Header()
			w.note(t.Name(), x)
		}()
		h.ServeHTTP(out, in)
		x.cut = false
	})
}

// note checks an exchange and remembers it.
func (w *watcher) note(test string, x *seenExchange) {
	what, problems := x.check(described())
	w.mu.Lock()
	late := w.ended
	if !late {
		w.problems = append(w.problems, problems...)
	}
	w.mu.Unlock()
	seen.mu.Lock()
	defer seen.mu.Unlock()
	seen.exchanges++
	if seen.answers == nil {
		seen.answers = map[string]int{}
	}
	seen.answers[what]++
	if late {
		for _, p := range problems {
			seen.late = append(seen.late, test+": "+p)
		}
	}
}

// witnessed copies an answer.
type witnessed struct {
	http.ResponseWriter
	x *seenExchange
}

// Unwrap is for [http.ResponseController].
func (w *witnessed) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// begin notes the status and the headers.
func (w *witnessed) begin(status int) {
	if w.x.status == 0 && status >= 200 {
		w.x.status, w.x.header = status, w.Header().Clone()
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *witnessed) WriteHeader(status int) {
	w.begin(status)
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *witnessed) Write(b []byte) (int, error) {
	w.begin(http.StatusOK)
	_, _ = w.x.answer.Write(b) // never fails
	return w.ResponseWriter.Write(b)
}

// tee copies a body as it is read.
type tee struct {
	io.ReadCloser
	to *part
}

// Read implements io.Reader.
func (r *tee) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	if err == io.EOF {
		r.to.whole = true
	}
	_, _ = r.to.Write(b[:n]) // never fails
	return n, err
}

// unseen are the answers that no test of this package gets, with the reason.
func unseen() map[string]string {
	return map[string]string{
		"metrics 503": "client_golang's, when more than four ask at a time",
	}
}

// unseenMembers are the members of schemas that no test of this package sees, with
// the reason.
func unseenMembers() map[string]string {
	return map[string]string{
		"/components/schemas/Report/properties/omitted": "takes more than 10,000 tenants",
		"/components/schemas/Purge/properties/eta":      "a deletion that has begun and waits; TestPurges_TellOfProgress has it without HTTP",
	}
}

// missing returns what is in the document and was not seen, and exceptions that
// are none.
func (s *witnesses) missing() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	excused := unseen()
	var missing []string
	for what, o := range described().operations() {
		for _, status := range o.get("responses").members() {
			answer := o.get("operationId").text() + " " + status
			_, ok := excused[answer]
			delete(excused, answer)
			if (s.answers[answer] > 0) == ok {
				missing = append(missing, fmt.Sprintf("%s (%s): seen %d times", answer, what, s.answers[answer]))
			}
		}
	}
	for answer := range maps.Keys(excused) {
		missing = append(missing, answer+": excused and not in the document")
	}
	d, never := described(), unseenMembers()
	d.walk("/components/schemas", d.at("/components/schemas").value, func(at string, _ map[string]any) {
		parent := at[:strings.LastIndexByte(at, '/')]
		if !strings.HasSuffix(parent, "/properties") {
			return
		}
		_, ok := never[at]
		delete(never, at)
		if d.members[at] == ok {
			missing = append(missing, fmt.Sprintf("%s: seen: %t", at, d.members[at]))
		}
	})
	for at := range never {
		missing = append(missing, at+": excused and not in the document")
	}
	slices.Sort(missing)
	return append(missing, s.late...)
}

// allTests runs the tests and then asks whether everything that is described was
// seen.
type allTests struct{ *testing.M }

// Run implements [goleak.TestingM].
func (a allTests) Run() int {
	code := a.M.Run()
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return code // not all of them were to run
		}
	}
	if worker := flag.Lookup("test.fuzzworker"); worker != nil && worker.Value.String() == "true" || code != 0 {
		return code
	}
	if missing := seen.missing(); len(missing) > 0 {
		fmt.Fprintf(os.Stderr, "%s has answers that no test has seen, or that came late:\n\t%s\n", DescriptionPath, strings.Join(missing, "\n\t"))
		return 1
	}
	if testing.Verbose() {
		fmt.Fprintf(os.Stderr, "%d exchanges were as %s has them: %d different answers\n", seen.exchanges, DescriptionPath, len(seen.answers))
	}
	return code
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(allTests{m}) }
