package httpcall

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tenantpurge/purger/purge"
)

// The bounds of [Patience].
const (
	// AskAgain is how often one request is made that the API does not take now.
	AskAgain = 10
	// LongPause is the longest single wait: many limits are per minute. An API that
	// wants more is left to whoever can do something else meanwhile.
	LongPause = time.Minute
	// allPauses bounds the waits of a call together.
	allPauses = 2 * time.Minute
)

// Pause returns how long to wait before a request is made again, the try-th time of
// which, from 1, brought err; 0 when err is not one to wait for: 429, or 503 with
// Retry-After. An API that only says that there were too many requests is left alone
// for longer and longer, up to 32 s.
func Pause(err error, try int) time.Duration {
	var e *Error
	if !errors.As(err, &e) {
		return 0
	}
	switch e.Status {
	case http.StatusServiceUnavailable:
		return e.Wait
	case http.StatusTooManyRequests:
		if e.Wait > 0 {
			return e.Wait
		}
		return time.Second << min(try-1, 5)
	}
	return 0
}

// Patience makes the requests of one call that reads page after page, so that an API
// that has enough in the midst of a list does not have it begin at the first page
// again, and never come to the end. Until a request was answered it has no patience:
// nothing is lost then, and the guard of the target puts off other calls as well. The
// zero value is ready for use, by one goroutine.
type Patience struct {
	answered bool
	waited   time.Duration
}

// Do is [Client.Do] for a request that changes nothing. After a 429, or 503 with
// Retry-After, it waits in [purge.Rest] and asks again: up to [AskAgain] times in a
// row, [LongPause] each, and two minutes in all. Beyond that, and when the call is to
// stop, the error is that of the last answer, with the wait that it asks for.
func (p *Patience) Do(ctx context.Context, c *Client, r Request) (*Response, error) {
	for try := 1; ; try++ {
		a, err := c.Do(ctx, r)
		if err == nil {
			p.answered = true
			return a, nil
		}
		wait := Pause(err, try)
		if wait <= 0 || !p.answered || try == AskAgain || wait > LongPause || p.waited+wait > allPauses {
			return nil, err
		}
		if stopped := purge.Rest(ctx, wait); stopped != nil {
			return nil, stopped
		}
		p.waited += wait
	}
}
