package purge_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// odd is a row with a status that is none.
func odd(id, parent string) purge.SourceRow {
	r := on(id, parent)
	r.Tenant.Status = "live"
	return r
}

func TestDiagnose_TriesTheFirstRows(t *testing.T) {
	broken := func(id, parent string) purge.SourceRow {
		return purge.SourceRow{Tenant: purge.SourceTenant{ID: id, ParentID: parent}, Err: errors.New("disabled_at: want a time")}
	}
	for name, c := range map[string]struct {
		rows     []purge.SourceRow
		severity purge.Severity // "" finds nothing
		text     string
	}{
		"none":      {nil, "", ""},
		"all fine":  {many(1000, on), "", ""},
		"all wrong": {many(400, odd), purge.SeverityError, `of the first 400 rows 400 cannot be taken over; 400: status "live": want active or disabled (row 1)`},
		"some":      {append(append(many(10, on), many(3, broken)...), many(4, odd)...), purge.SeverityWarning, `of the first 17 rows 7 cannot be taken over; 4: status "live": want active or disabled (row 14); 3: disabled_at: want a time (row 11)`},
		"later":     {append(many(1000, on), many(1000, odd)...), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := newStore(t), &directory{}
			d.set(c.rows...)
			var found []purge.Finding
			var err error
			unchanged(t, s, "the doctor", func() { found, err = newSyncer(t, s, d).Diagnose(t.Context()) })
			switch {
			case err != nil:
				t.Error(err)
			case c.severity == "" && len(found) > 0 || c.severity != "" && (len(found) != 1 || found[0].Severity != c.severity || found[0].Text != c.text):
				t.Errorf("found %+v; want %s: %s", found, c.severity, c.text)
			}
		})
	}
	d := &directory{list: func(int) error { return errSourceDown }}
	if _, err := newSyncer(t, newStore(t), d).Diagnose(t.Context()); !errors.Is(err, errSourceDown) {
		t.Errorf("a source that does not answer: %v", err)
	}
}

// TestAccept_NotWhatTakesOverNothing: where not one row is understood, to accept would
// say that everything is fine.
func TestAccept_NotWhatTakesOverNothing(t *testing.T) {
	s, d := newStore(t), &directory{}
	d.set(many(400, odd)...)
	y := newSyncer(t, s, d)
	r := synced(t, y, store.SyncRefused)
	if _, err := y.Accept(context.Background(), r.Digest, store.Origin{Actor: operator, At: time.Now()}); store.CodeOf(err) != store.Precondition {
		t.Errorf("accepted: %v", err)
	}
	synced(t, y, store.SyncRefused)
}

// TestSync_EndsWhenTheSourceDoesNot, and changes nothing.
func TestSync_EndsWhenTheSourceDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := newStore(t), &directory{}
		d.set(many(20, on)...)
		y := newSyncer(t, s, d, func(o *purge.SyncOptions) { o.Settings.Timeout = 10 * time.Minute })
		d.list = func(n int) error { // a row a minute
			time.Sleep(time.Minute)
			return nil
		}
		began := time.Now()
		r, err := y.Sync(t.Context())
		if r.Result != store.SyncFailed || store.CodeOf(err) != store.Unavailable || !strings.Contains(r.Why, "source.syncTimeout") || time.Since(began) > 11*time.Minute {
			t.Errorf("%+v, %v after %s", r, err, time.Since(began))
		}
		if n := len(contents(t, s)); n != 0 {
			t.Errorf("%d tenants were taken over", n)
		}
	})
}
