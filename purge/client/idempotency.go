package client

import (
	"net/http"

	"github.com/tenantpurge/purger/store"
)

// HeaderIdempotencyKey names a call, POST or DELETE, that may be repeated: one with
// the same key, path and content by the same caller is not made again for 24 hours,
// but answered as the first one was, with HeaderReplayed. Other content under the
// key is a Conflict. A call that was refused leaves its key free.
const (
	HeaderIdempotencyKey = "Idempotency-Key"
	HeaderReplayed       = "Idempotent-Replayed"
)

// MaxIdempotencyKey is the largest length of a key, in bytes.
const MaxIdempotencyKey = 255

// WithIdempotencyKey names the call by a key of 1 to [MaxIdempotencyKey] printable
// ASCII characters, so that it can be repeated after an answer that got lost. "" adds
// nothing.
func WithIdempotencyKey(key string) CallOption {
	return func(h http.Header) {
		if key != "" {
			h.Set(HeaderIdempotencyKey, key)
		}
	}
}

// Forgotten is what an answer is repeated with whose tenant was purged since.
type Forgotten struct {
	ID      string       `json:"id"`
	Status  store.Status `json:"status"` // deleted
	Message string       `json:"message"`
}
