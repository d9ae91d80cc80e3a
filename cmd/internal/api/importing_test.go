package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/ndjson"
)

const lines = `{"type":"tenant","id":"acme","parentId":"","name":"Acme","hostname":"acme.example.com","status":"disabled","disabledAt":"2026-01-05T10:00:00.000Z","purgeAfterDays":30,"activeSubscriptions":0}
{"type":"tenant","id":"acme-eu","parentId":"acme","name":"Acme EU","hostname":"","status":"active","activeSubscriptions":0}
{"type":"tenant","id":"kept","parentId":"","name":"Kept","hostname":"","status":"active","activeSubscriptions":3}
{"type":"oauthClient","tenantId":"acme","id":"c-1","data":{}}
{"type":"user","tenantId":"acme-eu","id":"u-1","data":{"mail":"someone@example.com"}}
`

func TestImport_WritesAndTellsWhatItDid(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		sum, err := r.Import(t.Context(), strings.NewReader(lines), client.ImportOptions{DryRun: true}, nil)
		if err != nil || sum.Tenants.New != 3 || sum.Resources.New != 2 || sum.Lines != 5 {
			t.Fatalf("dry run: %+v, %v", sum, err)
		}
		if _, err := r.Tenant(t.Context(), "acme", false); store.CodeOf(err) != store.NotFound {
			t.Errorf("a dry run wrote: %v", err)
		}
		sum, err = r.Import(t.Context(), strings.NewReader(lines), client.ImportOptions{}, nil)
		if err != nil || sum.Tenants.New != 3 || sum.Resources.New != 2 || !sum.Complete {
			t.Fatalf("import: %+v, %v", sum, err)
		}
		sum, err = r.Import(t.Context(), strings.NewReader(lines), client.ImportOptions{}, nil)
		if err != nil || sum.Tenants.Unchanged != 3 || sum.Resources.Unchanged != 2 {
			t.Fatalf("again: %+v, %v", sum, err)
		}
		got, err := r.Tenant(t.Context(), "acme", false)
		if err != nil || store.FormatTime(got.EstimatedPurgeDate.Time) != "2026-02-04T10:00:00.000Z" {
			t.Errorf("tenant %+v, %v", got, err)
		}
		page, err := r.Audit(t.Context(), 0, 1)
		if err != nil || len(page.Data) != 1 || page.Data[0].Actor != ProcessActor().ID {
			t.Errorf("audit %+v, %v", page, err)
		}
	})
}

func TestImport_RefusalsNameTheirLines(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		bad := lines + `{"type":"tenant","id":"x","parentId":"nobody","status":"active"}
{"type":"user","tenantId":"acme","id":"../../x","data":{}}
not JSON
`
		_, err := r.Import(t.Context(), strings.NewReader(bad), client.ImportOptions{}, nil)
		var refused *client.ImportError
		if !errors.As(err, &refused) || refused.Total != 3 || len(refused.Problems) != 3 {
			t.Fatalf("error %#v", err)
		}
		wantCode(t, err, store.Invalid)
		for i, want := range []client.LineProblem{{Line: 6, ID: "x", Field: "parentId"}, {Line: 7, Field: "id"}, {Line: 8}} {
			got := refused.Problems[i]
			if got.Line != want.Line || want.Field != "" && got.Field != want.Field || want.ID != "" && got.ID != want.ID ||
				got.Message == "" || got.Code != store.Invalid {
				t.Errorf("problem %+v, want %+v", got, want)
			}
			if !strings.Contains(err.Error(), fmt.Sprintf("line %d: %s", got.Line, got.Message)) {
				t.Errorf("%q does not hold the problem of line %d", err, got.Line)
			}
		}
		if _, err := r.Tenant(t.Context(), "acme", false); store.CodeOf(err) != store.NotFound {
			t.Errorf("a refused import wrote: %v", err)
		}
	})
}

func TestImport_TellsTheFirst100ErrorsAndTheirNumber(t *testing.T) {
	r := newRig(t).onSocket(t)
	_, err := r.Import(t.Context(), strings.NewReader(strings.Repeat("{}\n", 250)), client.ImportOptions{}, nil)
	var refused *client.ImportError
	if !errors.As(err, &refused) || len(refused.Problems) != 100 || refused.Total < 250 {
		t.Fatalf("error %#v", err)
	}
	if !strings.HasSuffix(err.Error(), fmt.Sprintf("\nand %d more", refused.Total-100)) {
		t.Errorf("the end of the message: %.80s", err.Error()[len(err.Error())-40:])
	}
}

func TestImport_ConflictsByOption(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "kept", Name: "Another"})
		_, err := r.Import(t.Context(), strings.NewReader(lines), client.ImportOptions{}, nil)
		var refused *client.ImportError
		if !errors.As(err, &refused) || refused.Problems[0].Line != 3 || refused.Problems[0].Code != store.Conflict {
			t.Fatalf("error %#v", err)
		}
		wantCode(t, err, store.Conflict)
		sum, err := r.Import(t.Context(), strings.NewReader(lines), client.ImportOptions{OnConflict: ndjson.OnConflictKeep}, nil)
		if err != nil || sum.Tenants.Conflict != 1 || sum.Tenants.New != 2 {
			t.Errorf("keep: %+v, %v", sum, err)
		}
		_, err = r.Import(t.Context(), strings.NewReader(lines), client.ImportOptions{OnConflict: "overwrite"}, nil)
		wantCode(t, err, store.Invalid)
	})
}

func TestImport_RefusesTheIDThatStandsForTheCallersTenant(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		for _, o := range []client.ImportOptions{{DryRun: true}, {}, {OnConflict: ndjson.OnConflictKeep}} {
			_, err := r.Import(t.Context(), strings.NewReader(lines+`{"type":"tenant","id":"me","status":"active"}`), o, nil)
			var refused *client.ImportError
			if !errors.As(err, &refused) || refused.Total != 1 {
				t.Fatalf("%+v: error %#v", o, err)
			}
			_, create := r.Create(t.Context(), client.NewTenant{ID: "me"})
			want := client.LineProblem{Line: 6, ID: "me", Field: "id", Code: store.Invalid, Message: `id "me": it stands for the tenant of the caller; want another one`}
			if got := refused.Problems[0]; got != want || create == nil || !strings.HasSuffix(create.Error(), want.Message) {
				t.Errorf("%+v: problem %+v, want %+v, as for POST: %v", o, got, want, create)
			}
		}
		for _, id := range []string{"me", "acme"} {
			if _, err := r.store.Tenant(t.Context(), id); store.CodeOf(err) != store.NotFound {
				t.Errorf("a refused import wrote %s: %v", id, err)
			}
		}
	})
}

func TestImport_TellsTheFirst100ConflictsAndTheirNumber(t *testing.T) {
	r := newRig(t).inProcess(t)
	input := func(name string) io.Reader {
		var b strings.Builder
		for n := range 130 {
			fmt.Fprintf(&b, `{"type":"tenant","id":"t-%d","name":%q,"status":"active"}`+"\n", n, name)
		}
		return strings.NewReader(b.String())
	}
	if _, err := r.Import(t.Context(), input("One"), client.ImportOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	sum, err := r.Import(t.Context(), input("Another"), client.ImportOptions{OnConflict: ndjson.OnConflictKeep}, nil)
	if err != nil || sum.Tenants.Conflict != 130 || len(sum.Conflicts) != 100 {
		t.Fatalf("%d conflicts are told: %+v, %v", len(sum.Conflicts), sum.Tenants, err)
	}
	if c := sum.Conflicts[0]; c.Line != 1 || c.ID != "t-0" || !strings.Contains(c.Message, "name") {
		t.Errorf("the first conflict: %+v", c)
	}
}

func TestImport_ContentTypeIsAsked(t *testing.T) {
	r := newRig(t).onSocket(t)
	res := raw(t, r, "POST /api/v1/import", lines) // as JSON
	if res.status != 415 || !strings.Contains(res.problem(t).Detail, client.ContentNDJSON) {
		t.Errorf("status %d: %s", res.status, res.body)
	}
}

// trickle gives its lines one by one, and tells when the first was taken.

type trickle struct {
	lines chan string
	rest  string
	end   error // after the last line
}

func (tr *trickle) Read(p []byte) (int, error) {
	if tr.rest == "" {
		line, ok := <-tr.lines
		if !ok {
			return 0, tr.end
		}
		tr.rest = line
	}
	n := copy(p, tr.rest)
	tr.rest = tr.rest[n:]
	return n, nil
}

func TestImport_ProgressComesWhileTheInputIsStillSent(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		in := &trickle{lines: make(chan string), end: io.EOF}
		seen := make(chan client.ImportProgress, 100)
		result := make(chan error, 1)
		go func() {
			_, err := r.Import(t.Context(), in, client.ImportOptions{}, func(p client.ImportProgress) {
				select {
				case seen <- p:
				default:
				}
			})
			result <- err
		}()
		var first client.ImportProgress
		for i, sent := 0, false; !sent; i += 512 {
			var b strings.Builder
			for n := range 512 {
				fmt.Fprintf(&b, `{"type":"tenant","id":"t-%d","parentId":"","name":"","hostname":"","status":"active","activeSubscriptions":0}`+"\n", i+n)
			}
			select {
			case first = <-seen:
				sent = true
			case in.lines <- b.String():
			}
		}
		if first.Stage != ndjson.StageRead || first.Lines == 0 {
			t.Errorf("progress %+v", first)
		}
		// Only one import at a time: this one would open the other's gate.
		_, err := r.Import(t.Context(), strings.NewReader(lines), client.ImportOptions{}, nil)
		wantCode(t, err, store.Unavailable)
		if err == nil || !strings.Contains(err.Error(), "under way already") {
			t.Errorf("a second import: %v", err)
		}
		in.lines <- "x\n" // so that it need not be written
		close(in.lines)
		var refused *client.ImportError
		if err := <-result; !errors.As(err, &refused) || refused.Total != 1 {
			t.Errorf("the end: %v", err)
		}
	})
}

func TestImport_ACallerThatLeavesWritesNothing(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		for _, broken := range []bool{false, true} {
			ctx, cancel := context.WithCancel(t.Context())
			in := &trickle{lines: make(chan string), end: errors.New("the disk broke")}
			result := make(chan error, 1)
			go func() {
				_, err := r.Import(ctx, in, client.ImportOptions{}, nil)
				result <- err
			}()
			for line := range strings.Lines(lines) {
				in.lines <- line
			}
			var err error
			if broken {
				close(in.lines)
				if err = <-result; !errors.Is(err, in.end) {
					t.Errorf("broken input: error %v", err)
				}
				cancel()
			} else {
				cancel()
				if err = <-result; !errors.Is(err, context.Canceled) {
					t.Errorf("cancelled: error %v", err)
				}
				close(in.lines)
			}
			// The next import is let in once the server has seen that the first is over.
			for {
				sum, err := r.Import(t.Context(), strings.NewReader(lines), client.ImportOptions{DryRun: true}, nil)
				if store.CodeOf(err) == store.Unavailable {
					continue
				}
				if err != nil || sum.Tenants.New != 3 {
					t.Errorf("something was written: %+v, %v", sum, err)
				}
				break
			}
		}
	})
}

func TestImport_AnAnswerThatIsCutOffIsAnError(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":       "",
		"only progress": `{"progress":{"stage":"read","lines":1,"total":0}}` + "\n",
		"half a line":   `{"summary":{"lines":5,"ten`,
	} {
		c := client.Over(roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body))}, nil
		}))
		_, err := c.Import(t.Context(), strings.NewReader(""), client.ImportOptions{}, nil)
		if store.CodeOf(err) != store.Unavailable || strings.Count(err.Error(), "cut off") != 1 || !strings.HasPrefix(err.Error(), "POST /import: the answer was cut off: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestEvent_HoldsExactlyOneMember(t *testing.T) {
	b, err := json.Marshal(client.ImportEvent{Summary: &client.ImportSummary{Lines: 1}})
	if err != nil || !strings.HasPrefix(string(b), `{"summary":{"lines":1,`) || strings.Contains(string(b), "error") {
		t.Errorf("%s, %v", b, err)
	}
}

// endless is an input without an end.

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestImport_ARefusalReachesACallerThatIsStillSending(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		for range 20 {
			_, err := r.Import(t.Context(), endless{}, client.ImportOptions{OnConflict: "overwrite"}, nil)
			var e *store.Error
			if !errors.As(err, &e) || e.Code != store.Invalid || e.Field != "onConflict" {
				t.Fatalf("error %v", err)
			}
		}
	})
}

func TestImport_ACallerCanLeaveWhileItsInputSaysNothing(t *testing.T) {
	begun := make(chan struct{})
	c := client.Over(InProcess(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		_, _ = io.Copy(io.Discard, r.Body) // without an answer, which is what the transport waits for
	})))
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	in := &trickle{lines: make(chan string), end: io.EOF}
	defer close(in.lines)
	result := make(chan error, 1)
	go func() {
		_, err := c.Import(ctx, in, client.ImportOptions{}, nil)
		result <- err
	}()
	<-begun
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
