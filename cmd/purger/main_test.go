package main

import (
	"os"
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
			"two":         cmdTwo,
			"hang":        cmdHang,
			"beginimport": cmdBeginImport,
			"mask":        cmdMask,
			"umask":       cmdUmask,
			"mode":        cmdMode,
		},
	})
}
