package postgressource_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantpurge/purger/purge/postgressource"
)

// watch watches a source until the end of the test, and returns what it says.
func watch(t *testing.T, s *postgressource.Source) <-chan struct{} {
	t.Helper()
	said := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Watch(ctx, func() { said <- struct{}{} }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch: %v", err)
		}
	})
	return said
}

func hear(t *testing.T, said <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-said:
	case <-time.After(30 * time.Second):
		t.Fatalf("nothing was heard of %s", what)
	}
}

func TestWatch_TellsOfEachNotificationAndAfterEachConnection(t *testing.T) {
	d := newDatabase(t, schema+`;
		CREATE FUNCTION changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NOTIFY "ten""ants"; RETURN NULL; END $$;
		CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON tenants FOR EACH STATEMENT EXECUTE FUNCTION changed()`)
	said := watch(t, d.source(func(c *postgressource.Config) { c.Channel = `ten"ants` }))
	hear(t, said, "the beginning")
	d.exec("INSERT INTO tenants (id) VALUES ('a'), ('b')")
	hear(t, said, "an insert")
	d.exec("NOTIFY other")
	d.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()")
	hear(t, said, "the new connection, before which something may have happened")
	d.exec("UPDATE tenants SET name = 'x'")
	hear(t, said, "an update after the new connection")
	if len(said) != 0 {
		t.Errorf("%d more were heard", len(said))
	}
}

func TestWatch_TriesAgainWithBackoffAndForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Time
		s, err := postgressource.New(postgressource.Config{DSN: "postgres://x@127.0.0.1/x", Query: "SELECT 1", Channel: "c"}, postgressource.Options{
			Connect: func(context.Context, *pgx.ConnConfig) (*pgx.Conn, error) {
				tries = append(tries, time.Now())
				return nil, errors.New("refused")
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		said := watch(t, s)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(tries); n < 40 || n > 200 {
			t.Fatalf("%d attempts in an hour", n)
		}
		for i := 1; i < len(tries); i++ {
			if d := tries[i].Sub(tries[i-1]); d < 500*time.Millisecond || d > 90*time.Second {
				t.Errorf("attempt %d came after %s", i, d)
			}
		}
		if first, last := tries[1].Sub(tries[0]), tries[len(tries)-1].Sub(tries[len(tries)-2]); first > 2*time.Second || last < 30*time.Second {
			t.Errorf("the first wait was %s, the last %s", first, last)
		}
		if len(said) != 0 {
			t.Error("something was heard")
		}
	})
}

func TestWatch_WithoutAChannelWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := postgressource.New(postgressource.Config{DSN: "postgres://x@127.0.0.1/x", Query: "SELECT 1"}, postgressource.Options{})
		if err != nil {
			t.Fatal(err)
		}
		said := watch(t, s)
		time.Sleep(time.Hour)
		if len(said) != 0 {
			t.Error("something was heard")
		}
	})
}
