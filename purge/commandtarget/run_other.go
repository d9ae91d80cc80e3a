//go:build !linux

package commandtarget

import (
	"context"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// result is how a run ended.
type result struct {
	out  []byte
	code int
	err  error
}

func (result) ending() string { return "" }

// process is what is constant about every run.
type process struct{ credential *struct{} }

func (Config) process() (process, error) { return process{}, errSystem() }

func (*Target) run(context.Context, []byte, *zap.Logger) result { return result{err: errSystem()} }

func errSystem() error {
	return store.Errorf(store.Invalid, "command: programs are run on Linux alone").At("command")
}
