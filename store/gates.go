package store

import (
	"fmt"
	"time"
)

// GateReason is why nothing at all may be claimed.
type GateReason string

// The gates. All but GateSpace are kept in the store.
const (
	GatePaused GateReason = "paused"
	GateHalted GateReason = "halted"
	GateImport GateReason = "import"
	// GateSpace: the disk has too little room to purge. Even a deletion is
	// written before it frees anything. It opens by itself.
	GateSpace GateReason = "space"
)

// Gate is a gate that is closed.
type Gate struct {
	Reason GateReason `json:"reason"`
	Detail string     `json:"detail,omitempty"`
}

// Pause stops purging until a person or its end lifts it.
type Pause struct {
	Reason string    `json:"reason"`
	Actor  Actor     `json:"actor"`
	Since  Timestamp `json:"since"`
	Until  Timestamp `json:"until,omitzero"` // exclusive; zero: no end
}

// Halt stops purging until a person lifts it.
type Halt struct {
	// Limit is the configuration key of the limit that was hit.
	Limit  string    `json:"limit"`
	Detail string    `json:"detail"`
	Since  Timestamp `json:"since"`
}

// Import says which import is not complete.
type Import struct {
	// Digest is the SHA-256 of the records, in hex.
	Digest string    `json:"digest"`
	Since  Timestamp `json:"since"`
}

// Gates is the persisted state of every gate. The zero value is open.
type Gates struct {
	Pause *Pause `json:"pause,omitempty"`
	Halt  *Halt  `json:"halt,omitempty"`
	// Allowance is how many tenants more than the limits allow a person let
	// pass; a claim uses up as many as it takes beyond a limit.
	Allowance int64   `json:"allowance,omitempty"`
	Import    *Import `json:"import,omitempty"`
	// Space is set while the disk has too little room to purge. It is measured
	// when the gates are read, and never kept.
	Space *Space `json:"space,omitempty"`
}

// Closed returns the gates that are closed at now, the most serious first: a
// halt, an import, a pause that has not ended, a disk without room.
func (g *Gates) Closed(now time.Time) []Gate {
	var closed []Gate
	if g.Halt != nil {
		closed = append(closed, Gate{GateHalted, fmt.Sprintf("%s: %s", g.Halt.Limit, g.Halt.Detail)})
	}
	if g.Import != nil {
		closed = append(closed, Gate{GateImport, "an import is not complete; run it again to complete it"})
	}
	if g.Pause.inForce(now) {
		closed = append(closed, Gate{GatePaused, g.Pause.Reason})
	}
	if g.Space != nil {
		closed = append(closed, Gate{GateSpace, g.Space.String()})
	}
	return closed
}

// GateChange is a change of the gates by a person. Like [Change.Apply], Apply
// may be called more than once and has no other effect.
type GateChange struct {
	Action Action
	Apply  func(g *Gates, o Origin) (detail map[string]string, err error)
}

// PausePurging closes the gate "paused". until is zero for a pause without an
// end. Pausing again replaces the pause, by one that ends earlier, too: who may pause
// may resume as well. Where that takes two people, it is [ProlongPause] that is wanted.
func PausePurging(reason string, until time.Time) GateChange {
	return GateChange{Action: ActionPause, Apply: func(g *Gates, o Origin) (map[string]string, error) {
		if err := checkReason(reason); err != nil {
			return nil, err
		}
		until := Trim(until)
		if !until.IsZero() && !o.At.Before(until) {
			return nil, Errorf(Invalid, "until %s: want a time in the future", FormatTime(until)).At("until")
		}
		if until.After(maxTime) {
			return nil, Errorf(Invalid, "until %s: want a time before 2262, or none for a pause without an end", FormatTime(until)).At("until")
		}
		g.Pause = &Pause{Reason: reason, Actor: o.Actor, Since: Timestamp{Trim(o.At)}, Until: Timestamp{until}}
		return map[string]string{"reason": reason, "until": FormatTime(until)}, nil
	}}
}

// ProlongPause is [PausePurging] for where a pause is not one person's to end. Errors:
// Precondition for one that ends before the pause that is in force; nothing changes
// then.
func ProlongPause(reason string, until time.Time) GateChange {
	c := PausePurging(reason, until)
	pause := c.Apply
	c.Apply = func(g *Gates, o Origin) (map[string]string, error) {
		is := g.Pause
		detail, err := pause(g, o)
		if err == nil && is.endsAfter(g.Pause, o.At) {
			g.Pause = is
			err = Errorf(Precondition, "purging is paused %s, and lifting a pause takes two people: want a pause that does not end earlier, or a resume",
				is.untilText()).At("until")
		}
		return detail, err
	}
	return c
}

// inForce reports whether the pause, which may be nil, has not ended at now.
func (p *Pause) inForce(now time.Time) bool {
	return p != nil && (p.Until.IsZero() || now.Before(p.Until.Time))
}

// endsAfter reports whether the pause, which may be nil, is in force at now and ends
// later than another one.
func (p *Pause) endsAfter(other *Pause, now time.Time) bool {
	return p.inForce(now) && !other.Until.IsZero() && (p.Until.IsZero() || other.Until.Before(p.Until.Time))
}

// untilText says until when the pause is.
func (p *Pause) untilText() string {
	if p.Until.IsZero() {
		return "without an end"
	}
	return "until " + FormatTime(p.Until.Time)
}

// ResumePurging lifts a pause and a halt. allow is how many tenants may pass
// beyond the limits; it replaces what is left of an earlier allowance. A halt
// is lifted only with a reason.
func ResumePurging(reason string, allow int64) GateChange {
	return GateChange{Action: ActionUnpause, Apply: func(g *Gates, _ Origin) (map[string]string, error) {
		if allow < 0 {
			return nil, Errorf(Invalid, "allow %d: want 0 or more", allow).At("allow")
		}
		if g.Halt != nil {
			if reason == "" {
				return nil, Errorf(Invalid, "purging is halted (%s): a reason is required to lift it", g.Halt.Limit).At("reason")
			}
		}
		if reason != "" {
			if err := checkReason(reason); err != nil {
				return nil, err
			}
		}
		detail := map[string]string{"reason": reason, "allow": fmt.Sprint(allow)}
		if g.Halt != nil {
			detail["lifted"] = g.Halt.Limit
		}
		g.Pause, g.Halt, g.Allowance = nil, nil, allow
		return detail, nil
	}}
}

// checkReason refuses an empty or unprintable reason.
func checkReason(reason string) error {
	if reason == "" {
		return Errorf(Invalid, "reason: want a text that says why").At("reason")
	}
	return CheckText("reason", reason, MaxNameLength)
}
