package api

import (
	"net/http"
	"os"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// status answers GET /status.
func (s *server) status(w http.ResponseWriter, r *request) error {
	now := time.Now()
	st := client.Status{Version: s.Version, DataDir: s.DataDir}
	stats, err := s.Store.Stats(r.Context(), now)
	if err != nil {
		return err
	}
	st.Stats = statsOf(stats)
	if st.Gates, err = s.Store.Gates(r.Context()); err != nil {
		return err
	}
	st.Closed = notNil(st.Gates.Closed(now))
	runs, err := s.Store.Runs(r.Context(), 1)
	if err != nil {
		return err
	}
	if len(runs) > 0 {
		st.LastRun = &runs[0]
	}
	if s.Scheduler != nil {
		st.Daemon, st.PID = true, os.Getpid()
		sched := s.Scheduler.Status()
		st.Schedule, st.NextRun = sched.Schedule, store.Timestamp{Time: sched.NextRun}
		st.NextRetry = store.Timestamp{Time: sched.NextRetry}
		if sched.Running {
			st.Running = &client.Running{Trigger: string(sched.Trigger), Since: store.Timestamp{Time: sched.Since}}
		}
	}
	return reply(w, http.StatusOK, st)
}
