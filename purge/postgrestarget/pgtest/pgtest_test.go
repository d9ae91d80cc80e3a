package pgtest_test

import (
	"testing"

	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
)

func TestServer_KeepsWhatWasCommittedThroughKillAndStop(t *testing.T) {
	s := pgtest.Start(t)
	db := s.Database(t)
	s.Exec(t, db, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
	address := s.Addr()
	for name, end := range map[string]func() error{"kill": s.Kill, "stop": s.Stop} {
		if err := end(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s.Running() {
			t.Errorf("%s: it says that it runs", name)
		}
		if err := s.Start(); err != nil {
			t.Fatalf("start after %s: %v", name, err)
		}
		if got := s.Int(t, db, "SELECT count(*) FROM kept"); got != 1 {
			t.Errorf("after %s %d rows, want 1", name, got)
		}
	}
	if s.Addr() != address {
		t.Errorf("address %s, then %s", address, s.Addr())
	}
}
