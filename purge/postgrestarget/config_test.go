package postgrestarget_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

func TestNew_RefusesWithTheField(t *testing.T) {
	const own = "SELECT count(*) FROM x WHERE y = $1"
	for name, c := range map[string]struct {
		change func(*postgrestarget.Config)
		fields []string
	}{
		"fine": {func(*postgrestarget.Config) {}, nil},
		"keywords": {func(c *postgrestarget.Config) {
			c.DSN = "host=db.example dbname=app user=purger password=hunter2 sslmode=verify-full"
		}, nil},
		"no name":      {func(c *postgrestarget.Config) { c.Name = "" }, []string{"name"}},
		"store":        {func(c *postgrestarget.Config) { c.Name = "store" }, []string{"name"}},
		"no dsn":       {func(c *postgrestarget.Config) { c.DSN = " " }, []string{"dsn"}},
		"bad dsn":      {func(c *postgrestarget.Config) { c.DSN = "postgres://u:hunter2@h:port/d" }, []string{"dsn"}},
		"bad escape":   {func(c *postgrestarget.Config) { c.DSN = "postgres://u:hunter2%zz@h/d" }, []string{"dsn"}},
		"bad keywords": {func(c *postgrestarget.Config) { c.DSN = "password=hunter2 host" }, []string{"dsn"}},
		"bad sslmode":  {func(c *postgrestarget.Config) { c.DSN = "postgres://u:hunter2@h/d?sslmode=hunter" }, []string{"dsn"}},
		"no kinds":     {func(c *postgrestarget.Config) { c.Kinds = nil }, []string{"kinds"}},
		"unknown kind": {func(c *postgrestarget.Config) { c.Kinds["robot"] = postgrestarget.Kind{} }, []string{"kinds"}},
		"nothing":      {func(c *postgrestarget.Config) { c.Kinds["user"] = postgrestarget.Kind{} }, []string{"kinds.user.table", "kinds.user.tenant"}},
		"both": {func(c *postgrestarget.Config) {
			c.Kinds["user"] = postgrestarget.Kind{Table: "a", Tenant: "b", Count: own}
		}, []string{"kinds.user"}},
		"three parts": {func(c *postgrestarget.Config) { c.Kinds["user"] = postgrestarget.Kind{Table: "a.b.c", Tenant: "b"} }, []string{"kinds.user.table"}},
		"open quote":  {func(c *postgrestarget.Config) { c.Kinds["user"] = postgrestarget.Kind{Table: `"a.b`, Tenant: "b"} }, []string{"kinds.user.table"}},
		"after quote": {func(c *postgrestarget.Config) { c.Kinds["user"] = postgrestarget.Kind{Table: `"a"b`, Tenant: "b"} }, []string{"kinds.user.table"}},
		"empty part":  {func(c *postgrestarget.Config) { c.Kinds["user"] = postgrestarget.Kind{Table: "a.", Tenant: "b"} }, []string{"kinds.user.table"}},
		"long": {func(c *postgrestarget.Config) {
			c.Kinds["user"] = postgrestarget.Kind{Table: "a", Tenant: strings.Repeat("x", 64)}
		}, []string{"kinds.user.tenant"}},
		"key": {func(c *postgrestarget.Config) {
			c.Kinds["user"] = postgrestarget.Kind{Table: "a", Tenant: "b", Key: []string{"\x00"}}
		}, []string{"kinds.user.key"}},
		"same rows": {func(c *postgrestarget.Config) {
			c.Kinds["user"] = postgrestarget.Kind{Table: "a", Tenant: "b"}
			c.Kinds["apiKey"] = postgrestarget.Kind{Table: "a", Tenant: "b"}
		}, []string{"kinds.user"}},
		"foreign ids": {func(c *postgrestarget.Config) {
			c.Kinds["user"] = postgrestarget.Kind{Table: "a", Tenant: "b", ForeignIDs: "ignore"}
		}, []string{"kinds.user.foreignIds"}},
		"no delete": {func(c *postgrestarget.Config) { c.Kinds["user"] = postgrestarget.Kind{Count: own} }, []string{"kinds.user.delete"}},
		"no $1": {func(c *postgrestarget.Config) {
			c.Kinds["user"] = postgrestarget.Kind{Count: own, Delete: "DELETE FROM x WHERE y = $10"}
		}, []string{"kinds.user.delete"}},
		"$3": {func(c *postgrestarget.Config) {
			c.Kinds["user"] = postgrestarget.Kind{Count: own, Delete: own + " AND z = $3"}
		}, []string{"kinds.user.delete"}},
		"$2 in count": {func(c *postgrestarget.Config) {
			c.Kinds["user"] = postgrestarget.Kind{Count: own + " LIMIT $2", Delete: own}
		}, []string{"kinds.user.count"}},
		"subscriptions alone": {func(c *postgrestarget.Config) { c.Kinds, c.Subscriptions = nil, own }, nil},
		"subscriptions blank": {func(c *postgrestarget.Config) { c.Subscriptions = " " }, []string{"subscriptions"}},
		"subscriptions NUL":   {func(c *postgrestarget.Config) { c.Subscriptions = own + "\x00" }, []string{"subscriptions"}},
		"subscriptions, no $1": {func(c *postgrestarget.Config) { c.Subscriptions = "SELECT count(*) FROM x WHERE y = $10" },
			[]string{"subscriptions"}},
		"subscriptions, $2": {func(c *postgrestarget.Config) { c.Subscriptions = own + " LIMIT $2" }, []string{"subscriptions"}},
		"subscriptions, $3": {func(c *postgrestarget.Config) { c.Subscriptions = own + " LIMIT $3" }, []string{"subscriptions"}},
		"ledger":            {func(c *postgrestarget.Config) { c.Ledger = "a.b.c" }, []string{"ledger"}},
		"times, numbers": {func(c *postgrestarget.Config) {
			c.StatementTimeout, c.LockTimeout, c.Connections = -1, time.Millisecond, 1
		}, []string{"connections", "lockTimeout", "statementTimeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := postgrestarget.Config{Name: "app", DSN: "postgres://purger:hunter2@db.example/app?sslmode=verify-full", Kinds: tables()}
			c.change(&cfg)
			target, err := postgrestarget.New(cfg, postgrestarget.Options{})
			if err == nil {
				if err := target.Close(); err != nil {
					t.Error(err)
				}
			} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "u:") || strings.Contains(err.Error(), "password=") {
				t.Errorf("the error tells the DSN: %v", err)
			}
			if got := fields(err); !slices.Equal(got, c.fields) {
				t.Errorf("New = %v, with the fields %q; want %q", err, got, c.fields)
			}
		})
	}
}

// TestNew_SaysWhatIsWrongInOneOrder, and not in that of a map.
func TestNew_SaysWhatIsWrongInOneOrder(t *testing.T) {
	wrong := func() string {
		_, err := postgrestarget.New(postgrestarget.Config{Name: "app", DSN: "host=localhost", Kinds: map[store.Kind]postgrestarget.Kind{
			"b": {}, "a": {}, store.KindUser: {Count: "SELECT 1", Delete: "SELECT 1"}, store.KindAPIKey: {Table: "t"},
		}}, postgrestarget.Options{})
		return fmt.Sprint(err)
	}
	first := wrong()
	for range 20 {
		if again := wrong(); again != first {
			t.Fatalf("one time\n%s\nand another time\n%s", first, again)
		}
	}
}

// fields returns what fields an error is about, all of them Invalid.
func fields(err error) []string {
	if err == nil {
		return nil
	}
	errs := []error{err}
	for i := 0; i < len(errs); i++ {
		if joined, ok := errs[i].(interface{ Unwrap() []error }); ok {
			errs = append(errs[:i], append(joined.Unwrap(), errs[i+1:]...)...)
			i--
		}
	}
	var found []string
	for _, err := range errs {
		var e *store.Error
		if errors.As(err, &e) && e.Code == store.Invalid {
			found = append(found, e.Field)
		}
	}
	slices.Sort(found)
	return found
}

func TestTarget_NoPasswordInErrors(t *testing.T) {
	server := pg(t)
	b := &bench{server: server}
	for name, dsn := range map[string]string{
		"nobody listens": "postgres://purger:hunter2@127.0.0.1:1/app?sslmode=disable",
		"no such role":   strings.Replace(server.DSNAs("nobody", "postgres"), "nobody@", "nobody:hunter2@", 1),
	} {
		b.Target = b.again(t, setUp{}, dsn)
		for _, err := range []error{b.Check(t.Context()), b.Init(t.Context()), second(b.Count(t.Context(), "acme", store.KindUser)),
			second(b.Purge(t.Context(), users("acme", all))), second(b.Diagnose(t.Context()))} {
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: error %v; want one, without the password", name, err)
			}
			if code := store.CodeOf(err); code != store.Unavailable && code != store.Unauthenticated {
				t.Errorf("%s: code %s of %v", name, code, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestTarget_QuotesNames(t *testing.T) {
	b := setUp{sql: `CREATE SCHEMA "S x"; CREATE TABLE "S x"."drop; --.""t" ("I d" int PRIMARY KEY, "Tenant's" text NOT NULL); CREATE INDEX ON "S x"."drop; --.""t" ("Tenant's", "I d");
INSERT INTO "S x"."drop; --.""t" SELECT g, CASE WHEN g < 6 THEN 'acme' ELSE 'other' END FROM generate_series(1, 8) g`,
		config: func(c *postgrestarget.Config) {
			c.Ledger = `"S x"."led.ger"`
			c.Kinds = map[store.Kind]postgrestarget.Kind{store.KindUser: {Table: `S x."drop; --.""t"`, Tenant: "Tenant's", Key: []string{"I d"}}}
		}}.make(t)
	if n, err := b.Count(t.Context(), "acme", store.KindUser); n != 5 || err != nil {
		t.Fatalf("Count = %d, %v", n, err)
	}
	b.wantStep(t, users("acme", 2), 2, true)
	b.wantStep(t, users("acme", 2), 2, true)
	b.wantStep(t, users("acme", 2), 1, true)
	b.wantStep(t, users("acme", 2), 0, false)
	if n := b.server.Int(t, b.db, `SELECT sum(deleted) FROM "S x"."led.ger"`); n != 5 {
		t.Errorf("the ledger has %d, want 5", n)
	}
}
