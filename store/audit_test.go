package store_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
	"pgregory.net/rapid"
)

// sealed returns a chain of n entries.
func sealed(t testing.TB, n int) []store.Entry {
	t.Helper()
	entries := make([]store.Entry, n)
	prev := ""
	for i := range entries {
		e := store.Entry{
			Seq: uint64(i + 1), At: store.Timestamp{Time: t0.Add(time.Duration(i) * time.Second)},
			Actor: "alice", Action: store.ActionDeactivate, TenantID: fmt.Sprintf("t-%d", i),
			FromStatus: store.StatusActive, ToStatus: store.StatusDisabled, FromVersion: 1, ToVersion: 2,
			Counts: &store.Counts{Users: int64(i)},
			Detail: map[string]string{"b": "2", "a": "1"},
		}
		e.Seal(prev)
		prev = e.Hash
		entries[i] = e
	}
	return entries
}

// verify returns the first defect that a new chain finds in entries.
func verify(entries []store.Entry) error {
	var c store.Chain
	for _, e := range entries {
		if err := c.Verify(e); err != nil {
			return err
		}
	}
	return nil
}

func TestChain_G8_AcceptsWhatWasSealed(t *testing.T) {
	entries := sealed(t, 7)
	var c store.Chain
	for i, e := range entries {
		if err := c.Verify(e); err != nil {
			t.Fatalf("entry %d: %v", i+1, err)
		}
		if got, want := c.Head(), (store.AuditRef{Seq: e.Seq, Hash: e.Hash}); got != want {
			t.Fatalf("head after entry %d is %v; want %v", i+1, got, want)
		}
	}
}

func TestChain_G8_FindsEveryTampering(t *testing.T) {
	for _, c := range []struct {
		name   string
		tamper func([]store.Entry) []store.Entry
		want   string // part of the message
	}{
		{"edit of the actor", func(e []store.Entry) []store.Entry { e[2].Actor = "mallory"; return e }, "entry 3: hash"},
		{"edit of the time by 1 ms", func(e []store.Entry) []store.Entry {
			e[2].At.Time = e[2].At.Add(time.Millisecond)
			return e
		}, "entry 3: hash"},
		{"edit of a count", func(e []store.Entry) []store.Entry { e[2].Counts.Users++; return e }, "entry 3: hash"},
		{"removal of the counts", func(e []store.Entry) []store.Entry { e[2].Counts = nil; return e }, "entry 3: hash"},
		{"edit of a detail", func(e []store.Entry) []store.Entry { e[2].Detail["a"] = "x"; return e }, "entry 3: hash"},
		{"edit of a hash", func(e []store.Entry) []store.Entry { e[2].Hash = e[1].Hash; return e }, "entry 3: hash"},
		{"edit with a new hash", func(e []store.Entry) []store.Entry {
			e[2].Actor = "mallory"
			reseal(&e[2])
			return e
		}, "entry 4: prevHash"},
		{"edit of the last entry", func(e []store.Entry) []store.Entry { e[6].Actor = "mallory"; return e }, "entry 7: hash"},
		{"removal of the first", func(e []store.Entry) []store.Entry { return e[1:] }, "entry 2 follows 0"},
		{"removal in the middle", func(e []store.Entry) []store.Entry { return slices.Delete(e, 2, 3) }, "entry 4 follows 2"},
		{"truncation in the middle", func(e []store.Entry) []store.Entry { return slices.Delete(e, 2, 5) }, "entry 6 follows 2"},
		{"removal with new numbers", func(e []store.Entry) []store.Entry {
			e = slices.Delete(e, 2, 3)
			for i := range e[2:] {
				e[2+i].Seq--
				reseal(&e[2+i])
			}
			return e
		}, "entry 3: prevHash"},
		{"reordering", func(e []store.Entry) []store.Entry { e[2], e[3] = e[3], e[2]; return e }, "entry 4 follows 2"},
		{"reordering with new numbers", func(e []store.Entry) []store.Entry {
			e[2], e[3] = e[3], e[2]
			e[2].Seq, e[3].Seq = 3, 4
			return e
		}, "entry 3: prevHash"},
		{"repetition", func(e []store.Entry) []store.Entry { return slices.Insert(e, 2, e[1]) }, "entry 2 follows 2"},
		{"insertion", func(e []store.Entry) []store.Entry {
			forged := e[1]
			forged.Seq = 3
			forged.Seal(e[1].Hash)
			return slices.Insert(e, 2, forged)
		}, "entry 3 follows 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := verify(c.tamper(sealed(t, 7)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("the chain says %v; want a defect with %q", err, c.want)
			}
		})
	}
}

// reseal gives an edited entry a hash that fits its content.
func reseal(e *store.Entry) {
	e.Seal(e.PrevHash)
}

// A chain that refused an entry must not have moved on: an auditor may continue
// to see whether the rest fits.
func TestChain_G8_StandsStillAtADefect(t *testing.T) {
	entries := sealed(t, 3)
	var c store.Chain
	if err := c.Verify(entries[0]); err != nil {
		t.Fatal(err)
	}
	bad := entries[1]
	bad.Actor = "mallory"
	if err := c.Verify(bad); err == nil {
		t.Fatal("an edited entry was accepted")
	}
	if err := c.Verify(entries[1]); err != nil {
		t.Fatalf("the true entry after the refused one: %v", err)
	}
}

func TestChain_G8_FindsAnyEditOfTheJSON(t *testing.T) {
	lines := make([][]byte, 0, 5)
	prev := ""
	for _, e := range sealed(t, 5) {
		line := e.Seal(prev)
		prev = e.Hash
		lines = append(lines, line)
	}
	rapid.Check(t, func(t *rapid.T) {
		edited := slices.Clone(lines)
		i := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
		line := slices.Clone(lines[i])
		at := rapid.IntRange(0, len(line)-1).Draw(t, "byte")
		line[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "mask"))
		edited[i] = line

		entries := make([]store.Entry, len(edited))
		for j, l := range edited {
			if err := json.Unmarshal(l, &entries[j]); err != nil {
				return // found by the decoder
			}
		}
		// The member names are matched without case by encoding/json, so an
		// edit of a name alone may leave the meaning as it was.
		if again, err := json.Marshal(entries[i]); err == nil && string(again) == string(lines[i]) {
			return
		}
		if err := verify(entries); err == nil {
			t.Fatalf("line %d with byte %d changed is accepted: %s", i+1, at, line)
		}
	})
}

func TestSeal_RendersTheHashLast(t *testing.T) {
	e := store.Entry{Seq: 1, At: store.Timestamp{Time: t0}, Actor: "alice", Action: store.ActionCreate, TenantID: "acme", ToStatus: store.StatusActive, ToVersion: 1}
	line := e.Seal("")
	const body = `{"seq":1,"at":"2026-01-05T10:00:00.000Z","actor":"alice","action":"create","tenantId":"acme",` +
		`"toStatus":"active","toVersion":1,"prevHash":""}`
	// What an auditor with other tools does: hash the line without its last member.
	sum := sha256.Sum256([]byte(body))
	want := strings.TrimSuffix(body, "}") + `,"hash":"` + hex.EncodeToString(sum[:]) + `"}`
	if string(line) != want {
		t.Errorf("sealed as %s; want %s", line, want)
	}
	plain, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if string(plain) != string(line) {
		t.Errorf("Seal returned %s, the entry encodes as %s", line, plain)
	}
}

func TestSeal_ForgetsTheHashOfBefore(t *testing.T) {
	e := sealed(t, 1)[0]
	first := e.Hash
	e.Seal("")
	if e.Hash != first {
		t.Errorf("sealed again the hash is %s; want %s", e.Hash, first)
	}
}

func ExampleChain() {
	// Entries as an auditor reads them, the second one edited afterwards.
	first := store.Entry{Seq: 1, Actor: "alice", Action: store.ActionCreate, TenantID: "acme"}
	first.Seal("")
	second := store.Entry{Seq: 2, Actor: "alice", Action: store.ActionDeactivate, TenantID: "acme"}
	second.Seal(first.Hash)
	second.Actor = "bob"

	var chain store.Chain
	fmt.Println(chain.Verify(first))
	fmt.Println(chain.Verify(second) != nil, chain.Head().Seq)
	// Output:
	// <nil>
	// true 1
}
