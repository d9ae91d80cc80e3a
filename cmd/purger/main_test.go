package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"purger": main, "journal-records": writeJournalRecords})
}

// TestScripts runs every script of testdata/script against the real main.
func TestScripts(t *testing.T) {
	runScripts(t, "testdata/script", false)
}

// TestScripts_WithoutDaemon and TestScripts_WithDaemon run the same scripts: what
// a command prints and its exit code do not depend on whether a daemon runs.
func TestScripts_WithoutDaemon(t *testing.T) {
	runScripts(t, "testdata/both", false)
}

func TestScripts_WithDaemon(t *testing.T) {
	runScripts(t, "testdata/both", true)
}

// runScripts runs the scripts of a directory. env has assignments beyond those
// that every script has.
func runScripts(t *testing.T, dir string, daemon bool, env ...string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		WorkdirRoot:         scriptsRoot(t),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "daemon":
				return daemon, nil
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, os.ErrInvalid
		},
		Setup: func(e *testscript.Env) error {
			e.Values[worldKey{}] = newWorld(e)
			e.Vars = append(e.Vars, env...)
			// The race detector lets every process sleep a second at its end.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":        cmdCode,
			"daemon":      cmdDaemon,
			"signal":      cmdSignal,
			"insist":      cmdInsist,
			"stopped":     cmdStopped,
			"until":       cmdUntil,
			"json":        cmdJSON,
			"logged":      cmdLogged,
			"shown":       cmdShown,
			"notified":    cmdNotified,
			"fetch":       cmdFetch,
			"lock":        cmdLock,
			"failing":     cmdFailing,
			"changing":    cmdChanging,
			"directory":   cmdDirectory,
			"two":         cmdTwo,
			"hang":        cmdHang,
			"beginimport": cmdBeginImport,
			"mask":        cmdMask,
			"umask":       cmdUmask,
			"mode":        cmdMode,
		},
	})
}

// scriptsRoot returns a directory for the scripts. That of testscript stays where
// -run leaves scripts out, and that of [testing.T.TempDir] is too long for a socket.
func scriptsRoot(t *testing.T) string {
	t.Helper()
	root, err := os.MkdirTemp("", "purger-scripts-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// What is in a directory that a script made read-only can be removed, too.
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				err = os.Chmod(path, 0o700)
			}
			return err
		})
		if err := os.RemoveAll(root); err != nil {
			t.Error(err)
		}
	})
	return root
}
