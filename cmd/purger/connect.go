package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/cmd/internal/api"
	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// whenMissing says what a command does about a data directory without a store.
type whenMissing int

const (
	// refuse is for every command that only makes sense with what is there: an
	// empty store, made by a typing error in --data-dir, would answer "all is
	// well".
	refuse whenMissing = iota
	// create is for the commands that fill a store.
	create
	// scratch is for a dry run, and for what needs no tenants: it works on an empty
	// store that is removed.
	scratch
)

// connectTimeout is how long a command tries while the store is locked and
// nobody answers: a daemon that starts, or another command that ends soon.
const connectTimeout = 3 * time.Second

// answerTimeout is how long a daemon may take to say how it is.
const answerTimeout = 5 * time.Second

// session is the API, wherever it is served.
type session struct {
	*client.Client
	// local says that this process serves it, on a store that it has opened.
	local bool
	close func() error
	// discard takes back a store that was made for a call that then failed. It
	// may be nil.
	discard func() error
	// made is the directory in which a store was made for the call, else "".
	made string
	// cannotPurge is why this process must not begin a purge: a target or the source
	// cannot be made. A claim ends the access of a tenant for good, and comes before
	// the first call of a target. nil when it may, and when a daemon does it.
	cannotPurge error
	// cannotSync is why this process cannot read the source: it cannot be made. nil as
	// cannotPurge is.
	cannotSync error
}

// Close ends the session; a local one closes the store.
func (s *session) Close() error {
	err := s.Client.Close()
	if s.close != nil {
		err = errors.Join(err, s.close())
	}
	return err
}

// do connects and calls f. The context of f ends with a signal; when that was
// why f failed, its error says so.
func (a *app) do(cmd *cobra.Command, missing whenMissing, f func(context.Context, *session) error) error {
	ctx, cancel := a.hangUp(cmd.Context())
	defer cancel()
	s, err := a.connect(ctx, missing)
	if err != nil {
		return stopped(ctx, err)
	}
	err = a.withoutToken(waits(f(ctx, s)))
	if err != nil && s.discard != nil {
		err = errors.Join(err, s.discard())
	}
	if err == nil && s.made != "" {
		fmt.Fprintf(a.stderr, "new store in %s\n", printable(s.made)) // perhaps --data-dir was forgotten
	}
	return errors.Join(stopped(ctx, err), s.Close())
}

// withoutToken adds to a refusal by a daemon elsewhere, which wants to know who
// calls, how it is told.
func (a *app) withoutToken(err error) error {
	if store.CodeOf(err) != store.Unauthenticated || a.server == "" || a.tokenFile != "" {
		return err
	}
	return fmt.Errorf("%w; want --token-file FILE, with a token of its issuer or of 'purger token' on its machine", err)
}

// stopped returns err, or why ctx ended if it has and err has no exit code of
// its own.
func stopped(ctx context.Context, err error) error {
	var exit *exitError
	if err == nil || ctx.Err() == nil || errors.As(err, &exit) {
		return err
	}
	return &exitError{code: exitTryAgain, err: context.Cause(ctx)}
}

// connect returns a session with the daemon, or, where nobody listens, with a
// server of its own on the store.
func (a *app) connect(ctx context.Context, missing whenMissing) (*session, error) {
	if a.server != "" || a.tokenFile != "" {
		return a.connectTCP(ctx)
	}
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(cfg.DataDir, client.SocketName)
	for deadline := time.Now().Add(connectTimeout); ; {
		c, err := client.Dial(ctx, socket)
		if err == nil {
			return a.answering(ctx, c, socket)
		}
		if !errors.Is(err, client.ErrNotReachable) {
			return nil, err
		}
		s, err := a.openLocal(ctx, cfg, missing)
		if !errors.Is(err, boltstore.ErrLocked) {
			return s, err
		}
		if time.Now().After(deadline) {
			return nil, &exitError{code: exitUnreachable, err: fmt.Errorf(
				"%w, and nobody answers on %s; want a daemon that is up, or the other process to end: try again", err, socket)}
		}
	}
}

// connectTCP returns a session with a daemon elsewhere.
func (a *app) connectTCP(ctx context.Context) (*session, error) {
	switch {
	case a.server == "":
		return nil, usageErrorf("--token-file is for a daemon elsewhere; want --server, too")
	case a.dataDir != "":
		return nil, usageErrorf("--data-dir is for a daemon here, and --server for one elsewhere; want one of them")
	}
	o := client.Options{Server: a.server}
	if a.tokenFile != "" {
		o.Token = client.TokenFile(a.tokenFile)
	}
	c, err := client.New(o)
	if err != nil {
		return nil, usageErrorf("--server: %w", err)
	}
	return a.answering(ctx, c, a.server)
}

// answering returns a session with a daemon that answers. One that is stopped or
// hangs still accepts connections, and nobody should wait for it for ever.
func (a *app) answering(ctx context.Context, c *client.Client, where string) (*session, error) {
	probe, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	_, err := c.Status(probe)
	if err == nil || probe.Err() == nil || ctx.Err() != nil {
		return &session{Client: c}, nil // what is wrong, the call itself will tell
	}
	return nil, errors.Join(&exitError{code: exitUnreachable, err: fmt.Errorf(
		"the daemon accepts connections on %s and does not answer within %s; want one that is not stopped: look at its log, or start it anew", where, answerTimeout)}, c.Close())
}

// noStore says that there is no store, and what makes one.
func noStore(cfg config.Config) error {
	fills := "'purger serve', 'import' or 'tenant create'"
	if cfg.Source != nil {
		fills = "'purger source sync', 'serve' or 'import'"
	}
	return fmt.Errorf("there is no store in %s; want --data-dir, or dataDir in a --config, to name a directory that %s has filled", cfg.DataDir, fills)
}

// openLocal opens the store and serves it to this process alone. The contexts
// of its requests end with ctx.
func (a *app) openLocal(ctx context.Context, cfg config.Config, missing whenMissing) (*session, error) {
	if a.configFile == "" {
		var err error
		if cfg, err = remembered(cfg); err != nil {
			return nil, err
		}
	}
	remove, made := func() error { return nil }, ""
	switch exists, err := storeExists(cfg.DataDir); {
	case err != nil:
		return nil, err
	case !exists && missing == refuse:
		return nil, noStore(cfg)
	case !exists && missing == create:
		if made, err = filepath.Abs(cfg.DataDir); err != nil {
			return nil, err
		}
	case !exists && missing == scratch:
		if cfg.DataDir, err = os.MkdirTemp("", "purger-dry-run-*"); err != nil {
			return nil, err
		}
		dir := cfg.DataDir
		remove = func() error { return os.RemoveAll(dir) }
	}
	logger, _ := newLogger(config.Log{Level: "error", Format: cfg.Log.Format}, a.stderr)
	st, err := boltstore.Open(ctx, storeOptions(cfg, logger, missing == refuse))
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	x, err := openExternal(cfg, externalOptions{store: st, logger: logger, lenient: true, file: a.configFile})
	if err != nil {
		return nil, errors.Join(err, st.Close(), remove())
	}
	engine, err := purge.New(purge.Options{
		Store: st, Targets: x.all(), Source: x.source, Logger: logger, Settings: cfg.PurgeSettings(),
	})
	if err != nil {
		return nil, errors.Join(err, x.Close(), st.Close(), remove())
	}
	c := serveLocal(ctx, api.Options{
		Store: st, Engine: engine, DataDir: cfg.DataDir, TempDir: cfg.Store.ImportTempDir,
		Version: readBuildInfo().Version, Logger: logger,
		Approvals: func() api.Approvals { return api.Approvals(cfg.API.Approvals) },
		Targets:   x.targets, Syncer: x.syncer,
	})
	return &session{Client: c, local: true, made: made, cannotPurge: x.unmade, cannotSync: x.unmadeSource, discard: st.Discard, close: func() error {
		return errors.Join(x.Close(), st.Close(), remove())
	}}, nil
}

// serveLocal serves the API to this process alone. The contexts of the requests
// end with ctx. Closing the client waits until every request has ended.
func serveLocal(ctx context.Context, o api.Options) *client.Client {
	h := api.New(o)
	return client.Over(api.InProcess(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
		h.ServeHTTP(w, r.WithContext(rctx))
	})))
}

// storeOptions returns how the store of the configuration is opened.
func storeOptions(cfg config.Config, logger *zap.Logger, mustExist bool) boltstore.Options {
	return boltstore.Options{
		Dir: cfg.DataDir, MustExist: mustExist, Logger: logger, UniqueHosts: true,
		TxTarget: cfg.Store.TransactionTarget, MmapSize: cfg.Store.MmapSize,
	}
}

// storeExists reports whether dir has a store, of whatever state.
func storeExists(dir string) (bool, error) {
	_, err := os.Lstat(filepath.Join(dir, boltstore.FileName))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	return false, store.Errorf(store.Precondition, "look for a store: %w; want a directory that can be read", err)
}
