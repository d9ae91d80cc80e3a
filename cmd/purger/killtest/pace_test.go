package killtest

import (
	"math/rand/v2"
	"time"
)

// pace knows how long each step takes on this machine at this time, so that
// kills fall into it.
type pace map[string]time.Duration

// took notes a step that was not interrupted.
func (p pace) took(step string, d time.Duration) {
	if before, ok := p[step]; ok {
		d = (before + d) / 2
	}
	p[step] = max(d, time.Millisecond)
}

// instant returns a random instant within a step, as the time since its
// beginning.
func (p pace) instant(rng *rand.Rand, step string) time.Duration {
	d, ok := p[step]
	if !ok {
		d = 20 * time.Millisecond
	}
	return time.Duration(rng.Int64N(int64(d)))
}

// within returns a random instant in the part of a command that lies between
// the start of its process and its end: the step without what any command takes.
func (p pace) within(rng *rand.Rand, step string) time.Duration {
	before := p["command"] * 3 / 4
	d := max(p[step]-before, time.Millisecond)
	return before + time.Duration(rng.Int64N(int64(d)))
}
