package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// TestContract holds the API against exchanges that others have published: each
// file has requests and the answers to them, byte for byte, made one after the
// other on TCP with signed tokens. In a request <token:NAME> is a token. In an
// answer <now> and <now+15d> stand for a time of now and of days later, <uuid> for
// an id that was made, <trace> for a trace id that was not sent.
func TestContract(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *contract){
		"qlik": func(*testing.T, *contract) {}, "acronis": func(*testing.T, *contract) {}, "rezolve": prepareRezolve,
	} {
		t.Run(name, func(t *testing.T) {
			archive, err := txtar.ParseFile(filepath.Join("testdata", "contract", name+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			c := newContract(t)
			prepare(t, c)
			for i := 0; i+1 < len(archive.Files); i += 2 {
				request, response := archive.Files[i], archive.Files[i+1]
				if response.Name != "response" {
					t.Fatalf("after %q comes %q, want a response", request.Name, response.Name)
				}
				got := c.ask(t, string(request.Data))
				if d := cmp.Diff(string(response.Data), got); d != "" {
					t.Errorf("%s (-want +got):\n%s\nin whole:\n%s", request.Name, d, got)
				}
			}
		})
	}
}

// contract is a server as its callers elsewhere meet it.
type contract struct {
	*rig
	address string
	engine  *faulty
	tokens  map[string]string
}

// newContract serves a rig on TCP.
func newContract(t *testing.T) *contract {
	t.Helper()
	key := newSigning(t, jose.EdDSA, "1")
	c := &contract{tokens: map[string]string{}}
	for name, claims := range map[string]map[string]any{
		"operator": {}, "super_admin": {"roles": []string{"super_admin"}}, "viewer": {"roles": []string{"viewer"}},
		"tenant": {"sub": "app", "roles": []string{}, "tenant_id": "larkspur"}, "expired": {"exp": time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC).Unix()},
	} {
		c.tokens[name] = key.token(t, claimsOf(claims))
	}
	c.rig = newRig(t, func(o *Options) {
		c.engine = &faulty{Engine: o.Engine}
		o.Engine = c.engine
		o.Authenticate, o.Remote = newTokens(t, writeKeys(t, key.jwk())).Authenticate, true
		o.Deletions = NewDeletions(nil)
	})
	c.rig.inProcess(t) // for what a test prepares or looks at
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.address = l.Addr().String()
	srv := NewHTTPServer(watch(t, c.handler), nil)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
		if err := c.options.Deletions.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// ask makes one request on a connection of its own and returns the answer in the
// form of the files.
func (c *contract) ask(t *testing.T, request string) string {
	t.Helper()
	for name, token := range c.tokens {
		request = strings.ReplaceAll(request, "<token:"+name+">", token)
	}
	head, body, _ := strings.Cut(request, "\n\n")
	wire := strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + strings.TrimSuffix(body, "\n")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", c.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, wire); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return general(string(answer), request)
}

// general replaces what is another in each run.
func general(answer, request string) string {
	head, body, _ := strings.Cut(answer, "\r\n\r\n")
	s := strings.ReplaceAll(head, "\r\n", "\n") + "\n\n" + body
	s = regexp.MustCompile(`(?m)^Date: .*$`).ReplaceAllString(s, "Date: <date>")
	s = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`).ReplaceAllStringFunc(s, func(at string) string {
		v, err := time.Parse(store.TimeFormat, at)
		n := math.Round(time.Until(v).Hours() / 24)
		off := time.Until(v) - time.Duration(n)*24*time.Hour
		switch {
		case err != nil || off.Abs() > time.Minute:
			return at
		case n == 0:
			return "<now>"
		}
		return fmt.Sprintf("<now%+gd>", n)
	})
	s = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`).ReplaceAllString(s, "<uuid>")
	return regexp.MustCompile(`"traceId":"([0-9a-f]{32})"`).ReplaceAllStringFunc(s, func(member string) string {
		if id := member[len(`"traceId":"`) : len(member)-1]; strings.Contains(request, id) {
			return member
		}
		return `"traceId":"<trace>"`
	})
}

// faulty is an engine that fails for some tenants.
type faulty struct {
	Engine
	before func() // called before a deletion, unless nil
}

// secret must not be told to anyone.
const secret = "postgres://purger:hunter2@db.internal/crm"

// Delete implements Engine.
func (f *faulty) Delete(ctx context.Context, d purge.Deletion) (store.Receipt, error) {
	if f.before != nil {
		f.before()
	}
	switch d.ID {
	case "broken":
		return store.Receipt{}, store.Errorf(store.Internal, "connect to %s: refused", secret)
	case "panics":
		panic(secret)
	}
	return f.Engine.Delete(ctx, d)
}

// prepareRezolve fills a store with the tenants that are deleted.
func prepareRezolve(t *testing.T, c *contract) {
	o := store.Origin{Actor: store.Actor{ID: "test"}, At: time.Now()}
	for _, v := range []store.Tenant{
		{ID: "acme", Name: "Acme Corporation", Hostname: "acme.example.com"}, {ID: "acme-eu", ParentID: "acme"},
		{ID: "paying", ActiveSubscriptions: 2}, {ID: "named", Hostname: "named.example.com"}, {ID: "broken"}, {ID: "panics"}, {ID: "active"},
	} {
		if _, err := c.store.Create(t.Context(), v, o); err != nil {
			t.Fatal(err)
		}
	}
	c.fill(t, "acme")
	c.fill(t, "acme-eu")
	c.disable(t, 0, "acme", "paying", "named")
	t.Cleanup(func() {
		entries, err := c.store.Audit(context.Background(), 1, 100)
		if err != nil {
			t.Fatal(err)
		}
		purged := map[string]string{}
		for _, e := range entries {
			if e.Action == store.ActionClaim || e.Action == store.ActionPurge {
				purged[string(e.Action)+" "+e.TenantID] = e.Actor
			}
		}
		if purged["purge acme"] != "jane" {
			t.Errorf("purges in the audit trail by actor: %v, want acme's by the subject of the token", purged)
		}
	})
}
