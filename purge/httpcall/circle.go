package httpcall

// Circle notices when a list whose pages lead from one to the next goes round in a
// circle (Brent's algorithm): it remembers one position, however many there are, and
// so tells some rounds late at most. The zero value is ready for use, by one goroutine.
type Circle struct {
	at string // the position that is compared with
	// steps were made since, and turn is after how many another one is.
	steps, turn int
}

// Back takes the next position, and reports whether it is known to have been before.
func (c *Circle) Back(to string) bool {
	if c.turn > 0 && to == c.at {
		return true
	}
	if c.steps++; c.steps >= c.turn {
		c.at, c.steps, c.turn = to, 0, max(2*c.turn, 2)
	}
	return false
}
