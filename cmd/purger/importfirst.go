package main

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge/client"
)

// importFirst imports the file of --import before anything is purged. A file
// that is refused leaves no store where there was none.
func (d *daemon) importFirst(ctx context.Context) error {
	if d.flags.importFile == "" {
		return nil
	}
	if err := d.importFile(ctx); err != nil {
		return errors.Join(err, d.store.Discard())
	}
	return nil
}

// importFile imports the file. Running again with the same one goes on where an
// interrupted import was, and changes nothing after a complete one; what people
// have changed since is kept.
func (d *daemon) importFile(ctx context.Context) error {
	name, in, err := d.app.openInput(d.flags.importFile)
	if err != nil {
		return err
	}
	defer in.Close() // it was only read
	d.notify.status("importing %s", name)
	began := time.Now()
	o := d.apiOptions()
	o.Logger = nil // nobody has asked for anything
	c := serveLocal(ctx, o)
	p := d.app.newProgress()
	s, err := c.Import(ctx, in, client.ImportOptions{OnConflict: "keep"}, p.show)
	p.clear()
	err = errors.Join(err, c.Close())
	if err != nil {
		return importError(name, err)
	}
	d.logger.Info("imported", zap.String("file", name), zap.Int64("lines", s.Lines), zap.Any("tenants", s.Tenants),
		zap.Any("resources", s.Resources), zap.Bool("complete", s.Complete), zap.Duration("took", time.Since(began)))
	if !s.Complete {
		return &exitError{code: exitTryAgain, err: errors.New("the import is not complete; start again to complete it")}
	}
	return nil
}
