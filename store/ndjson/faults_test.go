package ndjson

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/store"
)

// unreadable is a store of which one comparison fails, or its gates.
type unreadable struct {
	*flaky
	compare, gates int
	calls          int
}

func (u *unreadable) Compare(ctx context.Context, b store.Batch) (store.Imported, error) {
	if u.calls++; u.calls == u.compare {
		return store.Imported{}, store.Errorf(store.Unavailable, "the disk: %w", errInjected)
	}
	return u.flaky.Compare(ctx, b)
}

func (u *unreadable) Gates(ctx context.Context) (store.Gates, error) {
	if u.gates > 0 {
		return store.Gates{}, store.Errorf(store.Unavailable, "the disk: %w", errInjected)
	}
	return u.flaky.Gates(ctx)
}

func TestImport_TellsErrorsOfTheStoreAndWritesNothing(t *testing.T) {
	s := openStore(t)
	mustImport(t, s, activeLine("other", ""))
	for _, u := range []*unreadable{{compare: 1}, {compare: 2}, {gates: 1}} { // of tenants, of resources
		want := "compare with the store: the disk: injected"
		if u.gates > 0 {
			want = "read the gates: the disk: injected"
		}
		u.flaky = &flaky{Store: s}
		_, err := importText(u, activeLine("new", "")+activeLine("other", "")+userLine("other", "u"))
		if err == nil || err.Error() != want || store.CodeOf(err) != store.Unavailable || !errors.Is(err, errInjected) {
			t.Errorf("error is %v, want %s", err, want)
		}
		if len(u.flaky.calls) > 0 {
			t.Errorf("%s: calls %v", want, u.flaky.calls)
		}
	}
}

func TestImport_KeepsTheCodeOfAFailedWrite(t *testing.T) {
	f := &flaky{Store: openStore(t), before: func(string) error {
		return store.Errorf(store.Unavailable, "disk full: %w", errInjected)
	}}
	_, err := importText(f, sample())
	const want = "begin the import: disk full: injected (the import is not complete: run it again to complete it)"
	if err == nil || err.Error() != want || store.CodeOf(err) != store.Unavailable {
		t.Errorf("error is %v, want %s", err, want)
	}
}

// TestImport_ContextEndsBeforeWriting cancels after each of the first
// comparisons: no further one is made.
func TestImport_ContextEndsBeforeWriting(t *testing.T) {
	text, err := io.ReadAll(newGenerator(6000, 600))
	if err != nil {
		t.Fatal(err)
	}
	s := openStore(t)
	mustImport(t, s, string(text))
	for call := 1; call <= 3; call++ {
		ctx, cancel := context.WithCancel(context.Background())
		c := &cancelling{ImportStore: s, at: call, cancel: cancel}
		_, err := Import(ctx, ImportOptions{Store: c, Input: bytes.NewReader(text), Now: now})
		if !errors.Is(err, context.Canceled) || c.calls != call {
			t.Errorf("ended with comparison %d: %v after %d", call, err, c.calls)
		}
	}
}

// cancelling ends a context with one of its comparisons.
type cancelling struct {
	ImportStore
	calls, at int
	cancel    context.CancelFunc
}

func (c *cancelling) Compare(ctx context.Context, b store.Batch) (store.Imported, error) {
	out, err := c.ImportStore.Compare(ctx, b)
	if c.calls++; c.calls == c.at {
		c.cancel()
	}
	return out, err
}

func TestSorter_TellsAFailingDisk(t *testing.T) {
	s := newSorter(t.TempDir(), 1)
	defer func() { _ = s.close() }()
	fill := func() error {
		for i := range 1000 {
			if err := s.add([]byte{byte(i >> 8), byte(i)}, make([]byte, 100)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := fill(); err != nil {
		t.Fatal(err)
	}
	if err := s.file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := fill(); !errors.Is(err, os.ErrClosed) || !strings.Contains(err.Error(), "write temporary file for sorting") {
		t.Errorf("writing: %v", err)
	}
	if _, err := readAll(s); !errors.Is(err, os.ErrClosed) {
		t.Errorf("reading: %v", err)
	}
}

// TestCodec_TellsEveryTruncation cuts the temporary form of a tenant anywhere.
func TestCodec_TellsEveryTruncation(t *testing.T) {
	at := now.Add(-time.Hour)
	want := store.Tenant{
		ID: "a", ParentID: "b", Name: "name", Hostname: "host", Status: store.StatusDisabled, CreatedAt: at,
		DisabledAt: at, PurgeAfterDays: 30, EstimatedPurgeDate: store.PurgeDate(at, 30),
		DisabledBy: store.Actor{ID: "i", Name: "n", Email: "e"}, ActiveSubscriptions: 3, ReactivatedAt: at,
		Hold: &store.Hold{Reason: "r", Actor: store.Actor{ID: "h"}, Since: at, Until: now},
	}
	encoded := appendTenant(nil, &want)
	got, err := decodeTenant(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("decoded (-want +got):\n%s", d)
	}
	for n := range encoded {
		if _, err := decodeTenant(encoded[:n]); !errors.Is(err, errDamaged) {
			t.Errorf("%d of %d bytes: %v", n, len(encoded), err)
		}
	}
}

func TestLineError_Unwraps(t *testing.T) {
	_, err := importText(openStore(t), disabledLine("a", "", 5))
	var bad *InvalidInput
	if !errors.As(err, &bad) || len(bad.Errors) != 1 {
		t.Fatalf("error is %v", err)
	}
	e := bad.Errors[0]
	if e.Line != 1 || e.ID != "a" || e.Field != "purgeAfterDays" || store.CodeOf(e) != store.Invalid {
		t.Errorf("%+v, code %q", e, store.CodeOf(e))
	}
	if want := "1 error in the input\n" + e.Error(); err.Error() != want {
		t.Errorf("message is %q, want %q", err, want)
	}
}

// TestShort_NeverPrintsWhatATerminalObeys also cuts long values between runes.
func TestShort_NeverPrintsWhatATerminalObeys(t *testing.T) {
	for in, want := range map[string]string{
		`30.5`:                        `30.5`,
		`"text"`:                      `"text"`,
		"\"\u202eevil\"":              `"\"\u202eevil\""`,
		strings.Repeat("a", 64):       strings.Repeat("a", 64),
		strings.Repeat("a", 65):       strings.Repeat("a", 64) + "...",
		"a" + strings.Repeat("é", 40): "a" + strings.Repeat("é", 31) + "...",
	} {
		if got := short([]byte(in)); got != want {
			t.Errorf("short(%q) is %q, want %q", in, got, want)
		}
	}
}
