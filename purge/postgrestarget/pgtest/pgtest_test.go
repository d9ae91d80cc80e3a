package pgtest_test

import (
	"errors"
	"os"
	"strings"
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

func TestNew_AServerThatDoesNotStartSaysWhy(t *testing.T) {
	s, err := pgtest.New("work_mem=nonsense")
	if errors.Is(err, pgtest.ErrMissing) {
		pgtest.Require(t, err)
	}
	if err == nil {
		s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), `invalid value for parameter "work_mem"`) {
		t.Errorf("error %v; want the log of the server", err)
	}
}

func TestNewIn_KeepsItsDataBelowADirectory(t *testing.T) {
	parent, err := os.MkdirTemp("", "pgtest-") // another user reaches it, unlike t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(parent) })
	if err := os.Chmod(parent, 0o755); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	t.Chdir(parent)
	s, err := pgtest.NewIn(".")
	pgtest.Require(t, err)
	if found, err := os.ReadDir(parent); err != nil || len(found) != 1 {
		t.Errorf("below the directory are %v (%v), want the server's data", found, err)
	}
	s.Close()
	if found, err := os.ReadDir(parent); err != nil || len(found) != 0 {
		t.Errorf("closed, it leaves %v (%v)", found, err)
	}
}
