package store

import (
	"context"
	"slices"
	"strings"
	"time"
)

// SourceKeeper is implemented by a store that remembers what a source of tenants
// said: the syncs, the tenants that vanished, and what a person accepted.
type SourceKeeper interface {
	// Source returns what is on record of the source.
	Source(ctx context.Context) (SourceState, error)
	// ChangeSource changes it, and marks of tenants, in one transaction with the
	// audit entry, and returns it as it is afterwards. Errors: those of the
	// change; Invalid for more than [MaxPage] marks or one without an id.
	ChangeSource(ctx context.Context, c SourceChange, o Origin) (SourceState, error)
	// SourceMarks returns up to limit marks of a kind in the order of their ids,
	// those after the given id. 0 or above MaxPage is MaxPage.
	SourceMarks(ctx context.Context, kind MarkKind, after string, limit int) ([]SourceMark, error)
	// SourceMarksOf returns the marks of a kind of up to [MaxPage] tenants, in the
	// order in which they are asked for. Errors: Invalid.
	SourceMarksOf(ctx context.Context, kind MarkKind, ids []string) ([]SourceMark, error)
}

// MarkKind is what is remembered of single tenants.
type MarkKind string

// The kinds of marks.
const (
	// MarkVanished: the last good sync did not list the tenant; At is when that
	// was first so.
	MarkVanished MarkKind = "vanished"
	// MarkAllowed: a person accepted that the tenant gets the purge date At, or,
	// with a zero At, that it vanishes. They are there only while the sync that
	// was accepted is carried out.
	MarkAllowed MarkKind = "allowed"
	// MarkUnread: below the tenant the source has a row of which nothing could be
	// taken over, and which may be of a tenant that is not kept; neither the tenant
	// nor one above it is purged meanwhile. By is the id in that row, the smallest
	// of several, "" when none has one; At is when that was first so.
	MarkUnread MarkKind = "unread"
	// MarkTooLate: the source says that the tenant is active, which is being purged
	// or was; At is when that was first so. One that was active itself, and went with
	// a tenant above it, has the mark only while that one has it.
	MarkTooLate MarkKind = "tooLate"
)

// MarkKinds returns every kind.
func MarkKinds() []MarkKind { return []MarkKind{MarkVanished, MarkAllowed, MarkUnread, MarkTooLate} }

// SourceMark is a mark of one tenant. The tenant need not be kept any more.
type SourceMark struct {
	ID string    `json:"id"`
	At Timestamp `json:"at,omitzero"`
	By string    `json:"by,omitempty"` // of MarkUnread alone
}

// SyncResult is how a sync ended.
type SyncResult string

// The results.
const (
	SyncGood    SyncResult = "good"
	SyncRefused SyncResult = "refused" // it would change too much: a person has to look
	SyncFailed  SyncResult = "failed"  // the source or the store did not answer
)

// Sync is one comparison of a source with what is kept.
type Sync struct {
	StartedAt  Timestamp  `json:"startedAt"`
	FinishedAt Timestamp  `json:"finishedAt"`
	Result     SyncResult `json:"result"`
	// Digest identifies what makes a sync one that a person may have to accept:
	// which tenants it would purge sooner, when, and which have vanished. It is
	// the SHA-256 in hex, "" for a sync that failed before it was known.
	Digest string     `json:"digest,omitempty"`
	Counts SyncCounts `json:"counts"`
	// Why is set unless the result is good.
	Why string `json:"why,omitempty"`
}

// Acceptable reports whether somebody may accept the sync, if it is refused: not one
// that would take over nothing at all, since no row is understood.
func (s *Sync) Acceptable() bool { return s.Counts.Rows == 0 || s.Counts.Rejected < s.Counts.Rows }

// SyncCounts counts what a snapshot says against what is kept.
type SyncCounts struct {
	Rows int64 `json:"rows"` // of the snapshot, those that do not parse included
	Kept int64 `json:"kept"` // tenants, before the sync, that have neither vanished nor are being purged

	New int64 `json:"new"`
	// Changed ones get another name or host name, or are active in the source by
	// now, as a person made them before.
	Changed     int64 `json:"changed"`
	Reactivated int64 `json:"reactivated"`
	Later       int64 `json:"later"` // the purge date is put off
	// Disabled and Sooner get a purge date, or an earlier one; Due counts those
	// among them whose date has come.
	Disabled  int64 `json:"disabled"`
	Sooner    int64 `json:"sooner"`
	Due       int64 `json:"due"`
	Unchanged int64 `json:"unchanged"`
	// Overruled counts those among Changed and Unchanged that are disabled in the
	// source, and that a person reactivated, or disabled until later, since.
	Overruled int64 `json:"overruled"`
	// Rejected rows are in the dead letters, as far as there is room. Unplaced
	// counts those among them which may be of a tenant that is not kept, and do not
	// say below which other one: nobody waits for them.
	Rejected int64 `json:"rejected"`
	Unplaced int64 `json:"unplaced"`
	// Vanished counts what the last good sync still listed; what vanished before
	// is in [SourceState.Vanished].
	Vanished int64 `json:"vanished"`
	Purging  int64 `json:"purging"` // past the point of return: nothing is changed
	Purged   int64 `json:"purged"`  // listed, and purged already
	// TooLate counts those among Purging and Purged that are active in the source, but
	// for those that always were, and went with a tenant above them that is not: it
	// cannot be taken back.
	TooLate int64 `json:"tooLate"`
}

// DeadLetter is a row of a snapshot from which nothing was taken.
type DeadLetter struct {
	Row    int64  `json:"row"` // its place in the snapshot, from 1
	ID     string `json:"id,omitempty"`
	Reason string `json:"reason"`
}

// MaxDeadLetters is how many are kept of a sync.
const MaxDeadLetters = 100

// ByReason puts dead letters with one reason together, most of them first, and those
// that came first where there are as many.
func ByReason(letters []DeadLetter) [][]DeadLetter {
	var groups [][]DeadLetter
	at := map[string]int{}
	for _, l := range letters {
		i, ok := at[l.Reason]
		if !ok {
			i = len(groups)
			at[l.Reason] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], l)
	}
	slices.SortStableFunc(groups, func(a, b []DeadLetter) int { return len(b) - len(a) })
	return groups
}

// Acceptance is a person's consent to one refused sync.
type Acceptance struct {
	Digest string    `json:"digest"`
	By     string    `json:"by"` // an actor's id
	At     Timestamp `json:"at"`
	// Begun says that the sync is being carried out: what was accepted is in the
	// marks.
	Begun bool `json:"begun,omitempty"`
}

// SourceState is what is on record of the source. The zero value is that of a
// store that never had one.
type SourceState struct {
	Name string `json:"name,omitempty"`
	// LastGood is the last sync that was carried out to its end.
	LastGood *Sync `json:"lastGood,omitempty"`
	// LastRefused and LastFailed are nil once a later sync was good.
	LastRefused *Sync       `json:"lastRefused,omitempty"`
	LastFailed  *Sync       `json:"lastFailed,omitempty"`
	Accepted    *Acceptance `json:"accepted,omitempty"`
	// Lately is what good syncs did in the last 24 hours that counts against what one
	// may change, the oldest hour first. One that a person accepted begins anew.
	Lately []SourceHour `json:"lately,omitempty"`
	// DeadLetters are those of the last snapshot that was read to its end.
	DeadLetters []DeadLetter `json:"deadLetters,omitempty"`
	// Vanished and Unread count the marks of these kinds. The store counts them.
	Vanished int64 `json:"vanished"`
	Unread   int64 `json:"unread"`
}

// SourceHour is what good syncs did in one hour. Vanished is less than 0 where more
// came back.
type SourceHour struct {
	From     Timestamp `json:"from"`
	Sooner   int64     `json:"sooner"` // tenants that got a purge date, or an earlier one
	Vanished int64     `json:"vanished"`
}

// SourceChange is a change of what is on record of the source.
type SourceChange struct {
	// Action is that of the audit entry; "" is for what changes nothing that
	// anybody decides by.
	Action Action
	// Apply, unless nil, edits the state. It may be called more than once and has
	// no other effect.
	Apply func(s *SourceState, o Origin) (detail map[string]string, err error)
	// Kind is that of the marks to be set, replacing those of the same tenants,
	// and of those to be taken away. One that is not there is taken away already.
	Kind   MarkKind
	Mark   []SourceMark
	Unmark []string
}

// Check returns an [Invalid] error for marks that cannot be kept.
func (c *SourceChange) Check() error {
	n := len(c.Mark) + len(c.Unmark)
	switch {
	case n > MaxPage:
		return Errorf(Invalid, "%d marks; want at most %d in one change", n, MaxPage)
	case n == 0:
		return nil
	}
	if err := CheckMarkKind(c.Kind); err != nil {
		return err
	}
	for i := range c.Mark {
		if err := c.Mark[i].check(c.Kind); err != nil {
			return err
		}
	}
	return nil
}

// CheckMarkKind returns an [Invalid] error for an unknown kind of marks.
func CheckMarkKind(kind MarkKind) error {
	if slices.Contains(MarkKinds(), kind) {
		return nil
	}
	return Errorf(Invalid, "marks of kind %s: want one of %v", Quote(string(kind)), MarkKinds())
}

// check returns an [Invalid] error for a mark that cannot be kept.
func (m *SourceMark) check(kind MarkKind) error {
	if err := CheckID("id", m.ID); err != nil {
		return err
	}
	if kind != MarkAllowed && m.At.IsZero() {
		return Errorf(Invalid, "mark of tenant %q, %s: want an instant", m.ID, kind).At("at")
	}
	if m.By == "" {
		return nil
	}
	if kind != MarkUnread {
		return Errorf(Invalid, "mark of tenant %q, %s: want no tenant that it is for", m.ID, kind).At("by")
	}
	return CheckID("by", m.By)
}

// AcceptSync accepts the refused sync whose digest is, or begins with, the given
// one, which has at least 12 digits. Errors: Invalid; Conflict when it is another
// sync that is refused, or none.
func AcceptSync(digest string) SourceChange {
	const least = 12
	return SourceChange{Action: ActionSourceAccept, Apply: func(s *SourceState, o Origin) (map[string]string, error) {
		if len(digest) < least {
			return nil, Errorf(Invalid, "digest %q: want at least the first %d digits of that of the refused sync", digest, least).At("digest")
		}
		r := s.LastRefused
		switch {
		case r == nil:
			return nil, Errorf(Conflict, "no sync waits to be accepted").At("digest")
		case len(digest) > len(r.Digest) || r.Digest[:len(digest)] != digest:
			return nil, Errorf(Conflict, "the sync that waits has the digest %s, not %s; look at it again", r.Digest, digest).At("digest")
		case s.Accepted != nil && s.Accepted.Digest == r.Digest:
			return nil, nil
		case !r.Acceptable():
			return nil, Errorf(Precondition, "of the %d rows of the sync not one is understood: there is nothing to accept; mend what the source is asked for", r.Counts.Rows)
		}
		s.Accepted = &Acceptance{Digest: r.Digest, By: o.Actor.ID, At: Timestamp{Trim(o.At)}}
		return map[string]string{"digest": r.Digest}, nil
	}}
}

// Adoption is what a source says of a tenant.
type Adoption struct {
	// Name and Hostname are nil where it says nothing.
	Name, Hostname *string
	// Disabled, with DisabledAt and PurgeAfterDays, or active.
	Disabled       bool
	DisabledAt     time.Time
	PurgeAfterDays int
	// Milder takes over only what cancels or puts off a purge.
	Milder bool
}

// Date returns the purge date that the adoption gives, zero for an active tenant.
func (a *Adoption) Date() time.Time {
	if !a.Disabled {
		return time.Time{}
	}
	return PurgeDate(Trim(a.DisabledAt), a.PurgeAfterDays)
}

// Overruled reports whether a person has decided about the tenant since it was
// disabled as the adoption says. A reactivation stands until the source says that
// the tenant is active, or was disabled later than that (G2). A grace period that a
// person began anew does not end before the date that was promised then, unless the
// source says the same of it (G1).
//
// The instants are of two clocks. One that the reactivation cancelled does not
// come back, whatever the difference, see [Reactivate]; for another that is close
// to it the tenant stays active where the source's clock is behind.
func (a *Adoption) Overruled(t *Tenant) bool {
	at := Trim(a.DisabledAt)
	switch {
	case !a.Disabled, at.IsZero():
		return false
	case t.Status == StatusActive:
		return !t.ReactivatedAt.IsZero() && !at.After(t.ReactivatedAt)
	}
	person := t.DisabledBy.ID != "" && !strings.HasPrefix(t.DisabledBy.ID, SourceActorPrefix)
	return t.Status == StatusDisabled && person && at.Before(t.DisabledAt) && a.Date().Before(t.EstimatedPurgeDate)
}

// SourceActorPrefix begins the ids of the actors that sources are, and of no other.
const SourceActorPrefix = "source:"

// Adopt makes the tenant what a source says of it, unless that is overruled. The
// grace period need not be within the bounds that people have to keep to; the
// ancestors are not looked at, since the source says for each what it is.
//
// Origin.At is when the source was asked, or earlier: what it says may be older
// than a change of the record since then.
func Adopt(a Adoption) Change {
	c := Change{Action: ActionReactivate}
	if a.Disabled {
		c.Action = ActionDeactivate
	}
	c.Apply = func(t *Tenant, _ *Tenant, o Origin) error {
		if err := t.refuseIrrevocable("changed"); err != nil {
			return err
		}
		if !a.Milder {
			if a.Name != nil {
				t.Name = *a.Name
			}
			if a.Hostname != nil {
				t.Hostname = *a.Hostname
			}
		}
		at, date := Trim(a.DisabledAt), a.Date()
		same := t.DisabledAt.Equal(at) && t.PurgeAfterDays == a.PurgeAfterDays && t.EstimatedPurgeDate.Equal(date)
		switch {
		case !a.Disabled && t.Status == StatusActive:
			if !a.Milder && t.UpdatedAt.Before(Trim(o.At)) {
				t.ReactivatedAt = time.Time{} // there is nothing left to overrule
			}
		case a.Overruled(t),
			a.Disabled && t.Status == StatusDisabled && same,
			a.Disabled && a.Milder && (t.Status != StatusDisabled || !date.After(t.EstimatedPurgeDate)):
		case !a.Disabled:
			t.enable()
		default:
			t.Status = StatusDisabled
			t.DisabledAt, t.PurgeAfterDays, t.EstimatedPurgeDate = at, a.PurgeAfterDays, date
			t.DisabledBy = o.Actor
			t.ReactivatedAt = time.Time{}
			t.Block = nil
		}
		return nil
	}
	return c
}
