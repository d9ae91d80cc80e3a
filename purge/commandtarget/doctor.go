package commandtarget

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// Diagnose implements [purge.Doctor]: it runs the program's check, and looks at
// who could replace the program and whom it runs as.
func (t *Target) Diagnose(ctx context.Context) ([]purge.Finding, error) {
	var found []purge.Finding
	if err := t.Check(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		found = append(found, purge.Finding{Severity: purge.SeverityError, Subject: t.cfg.Command,
			Text: fmt.Sprintf("its check fails: %v", err), Fix: t.remedy(err)})
	}
	if os.Geteuid() == 0 && t.credential == nil {
		found = append(found, purge.Finding{Severity: purge.SeverityWarning, Subject: t.cfg.Command,
			Text: "it runs as root", Fix: "set user to one that has the rights that the program needs, and no others"})
	}
	for path := t.cfg.Command; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			return found, store.Errorf(store.Unavailable, "look at %q: %w", path, err)
		}
		// In a sticky directory one cannot replace what is another's.
		if mode := info.Mode(); mode.Perm()&0o022 != 0 && mode&os.ModeSticky == 0 {
			found = append(found, purge.Finding{Severity: purge.SeverityWarning, Subject: path,
				Text: fmt.Sprintf("others than its owner can change it (%s), and with it what the daemon runs", mode),
				Fix:  fmt.Sprintf("chmod go-w %s", path)})
		}
		if path == filepath.Dir(path) {
			return found, nil
		}
	}
}

// remedy says what a person can do about a failed check.
func (t *Target) remedy(err error) string {
	switch {
	case store.CodeOf(err) == store.Forbidden:
		return "give the program the rights that it asks for"
	case errors.Is(err, context.DeadlineExceeded):
		return "find out what it waits for, or raise timeout"
	}
	return "run it by hand with {\"version\":1,\"operation\":\"check\"} on its standard input"
}
