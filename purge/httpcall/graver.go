package httpcall

import "github.com/tenantpurge/purger/store"

// Graver returns the error of two calls that has to be told: one whose answer was
// lost, since then nobody knows what was removed, before one that was refused, and
// else the first. The first may be nil.
func Graver(first, second error) error {
	if first == nil || store.CodeOf(first) != store.Internal && store.CodeOf(second) == store.Internal {
		return second
	}
	return first
}
