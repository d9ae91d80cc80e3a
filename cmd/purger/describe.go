package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tenantpurge/purger/store"
)

// number renders n with a comma between thousands.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// plural renders n of something; the plural of every word used here ends in s.
func plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return number(n) + " " + word + "s"
}

// countsText renders what c counts in words, "nothing" when it counts nothing.
func countsText(c store.Counts) string {
	var parts []string
	for _, p := range []struct {
		n    int64
		word string
	}{
		{c.SubTenants, "sub-tenant"},
		{c.OAuthClients, "OAuth client"},
		{c.APIKeys, "API key"},
		{c.Credentials, "credential"},
		{c.Users, "user"},
	} {
		if p.n != 0 {
			parts = append(parts, plural(p.n, p.word))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// countCells renders c for the columns of countHeads.
func countCells(c store.Counts) []string {
	return []string{number(c.SubTenants), number(c.OAuthClients), number(c.APIKeys), number(c.Credentials), number(c.Users)}
}

// countHeads are the columns of counts, in the order of removal.
func countHeads() []string {
	return []string{"SUBTENANTS", "CLIENTS", "KEYS", "CREDENTIALS", "USERS"}
}

// blockText says why the tenant with the id waits, for whom and until when.
func blockText(id string, b store.Block) string {
	who := "it "
	if b.By != id {
		who = b.By + " "
	}
	var why string
	switch b.Reason {
	case store.BlockHold:
		why = "is on hold"
	case store.BlockProtected:
		why = "is protected by the configuration"
	case store.BlockActiveSubscriptions:
		why = "has active subscriptions"
	case store.BlockLaterDate:
		why = "was promised a later date"
	case store.BlockInvalidDate:
		why = "has no valid date"
	case store.BlockPurging:
		why = "is being purged by a claim of its own"
	case store.BlockVanished:
		why = "is not known to the source any more"
	case store.BlockMoved:
		why = "has another parent in the source"
	case store.BlockSource:
		why = "has a row in the source, or below it, that is not understood or not taken over yet"
	case store.BlockSourceDown:
		why = "waits for the source, which does not answer or had no good sync for too long"
	default:
		why = "is blocked: " + string(b.Reason)
	}
	if !b.Until.IsZero() {
		why += " until " + timeText(b.Until.Time)
	}
	return who + why
}

// timeText renders t in UTC, "" when it is zero.
func timeText(t time.Time) string { return store.FormatTime(t) }

// actorText renders who did something.
func actorText(a store.Actor) string {
	if a.Name == "" {
		return a.ID
	}
	return fmt.Sprintf("%s (%s)", a.ID, a.Name)
}

// sizeText renders a number of bytes.
func sizeText(n int64) string {
	const unit = 1024
	if n < unit {
		return plural(n, "byte")
	}
	f, i := float64(n), -1
	for f >= unit && i < 4 {
		f /= unit
		i++
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTP"[i])
}

// parseWhen reads the value of a flag that says until when: a time, or a date
// that stands for its first instant in UTC.
func parseWhen(flag, s string) (store.Timestamp, error) {
	if s == "" {
		return store.Timestamp{}, nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		s = t.Format(time.RFC3339)
	}
	t, err := store.ParseTime("--"+flag, s)
	if err != nil {
		return store.Timestamp{}, usageErrorf("%w, or a date such as 2026-01-05", err)
	}
	return store.Timestamp{Time: t}, nil
}
