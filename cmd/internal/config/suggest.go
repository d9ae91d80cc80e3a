package config

import "strings"

// nearest returns the known word that word may have been meant to be, or "".
func nearest(word string, known []string) string {
	if len(word) > 64 {
		return ""
	}
	best, least := "", max(1, len(word)/3)+1
	lower := strings.ToLower(word)
	for _, k := range known {
		n := distance(lower, strings.ToLower(k))
		if n > 0 && strings.HasPrefix(lower, strings.ToLower(k)) {
			n = 1 // dataDirectory
		}
		if n < least {
			best, least = k, n
		}
	}
	return best
}

// distance returns how many characters must be added, removed or replaced, or
// neighbours swapped, to get from a to b.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	// Row i holds the distances of the first i characters of x.
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
