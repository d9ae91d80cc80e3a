package api

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// only takes a lock for what must not happen twice at a time. The error is for
// when it happens already.
func only(mu *sync.Mutex, what string) (unlock func(), err error) {
	if !mu.TryLock() {
		return nil, store.Errorf(store.Unavailable, "%s is under way already", what)
	}
	return mu.Unlock, nil
}

// storeStats answers GET /store/stats.
func (s *server) storeStats(w http.ResponseWriter, r *request) error {
	stats, err := s.Store.Stats(r.Context(), time.Now())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, statsOf(stats))
}

// check answers POST /store/check.
func (s *server) check(w http.ResponseWriter, r *request) error {
	if err := readBody(w, r, nil); err != nil {
		return err
	}
	unlock, err := only(&s.checking, "a check")
	if err != nil {
		return err
	}
	defer unlock()
	err = s.Store.Check(r.Context())
	switch {
	case err == nil:
		return reply(w, http.StatusOK, client.CheckResult{OK: true})
	case r.Context().Err() != nil, errors.Is(err, context.Canceled), store.CodeOf(err) == store.Unavailable:
		return err // it was not made to its end
	}
	return reply(w, http.StatusOK, client.CheckResult{Defects: defects(err)})
}

// defects returns the messages of an error that joins several.
func defects(err error) []string {
	var all []string
	for list := []error{err}; len(list) > 0; {
		err, list = list[0], list[1:]
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			list = append(joined.Unwrap(), list...)
		} else {
			all = append(all, err.Error())
		}
	}
	return all
}

// compact answers POST /store/compact.
func (s *server) compact(w http.ResponseWriter, r *request) error {
	if err := readBody(w, r, nil); err != nil {
		return err
	}
	c, ok := s.Store.(store.Compacter)
	if !ok {
		return store.Errorf(store.Precondition, "this store needs no compaction")
	}
	if f, ok := s.Store.(store.Forgetter); ok { // what has expired is not to be copied
		if err := f.Forget(r.Context(), r.origin().At); err != nil {
			return err
		}
	}
	done, err := c.Compact(r.Context())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, client.Compaction{Before: done.Before, After: done.After})
}
