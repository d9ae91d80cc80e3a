package store

import "fmt"

// Space says that the disk has less room than something needs.
type Space struct {
	Dir  string `json:"dir"`  // whose disk it is
	Free int64  `json:"free"` // in bytes, free pages of the store's own file included
	Want int64  `json:"want"` // in bytes
}

// String names both sizes.
func (s Space) String() string {
	return fmt.Sprintf("the disk of %s has %s of room, want %s", s.Dir, sizeText(s.Free), sizeText(s.Want))
}

// sizeText renders a size in MiB, rounded down: "64.0 MiB".
func sizeText(n int64) string {
	return fmt.Sprintf("%d.%d MiB", n>>20, (n&(1<<20-1))*10>>20)
}

// SpaceError refuses what might not fit on the disk, before anything of it is
// written: a disk that fills up in the midst of a commit leaves the outcome
// unknown. The same works once there is room. Its code is [Exhausted].
type SpaceError struct {
	Space
	// Own says that there is room for what most purges write, and too little
	// only for this one: others can go on.
	Own bool
}

// Error implements error.
func (e *SpaceError) Error() string { return e.String() }

// Gate returns the gate that stops purging for the same reason, unless e.Own.
func (e *SpaceError) Gate() Gate { return Gate{GateSpace, e.String()} }
