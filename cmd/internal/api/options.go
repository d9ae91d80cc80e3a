package api

import (
	"context"
	"net/http"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/scheduler"
	"github.com/tenantpurge/purger/store"
)

// Engine is what the server needs of a [purge.Engine].
type Engine interface {
	Run(ctx context.Context, t purge.Trigger) (purge.Report, error)
	Plan(ctx context.Context) (purge.Report, error)
	Delete(ctx context.Context, d purge.Deletion) (store.Receipt, error)
	Settings() purge.Settings
}

// Scheduler is what the server needs of a [scheduler.Scheduler].
type Scheduler interface {
	Trigger(t purge.Trigger) *scheduler.Ticket
	Wake()
	Status() scheduler.Status
}

// Options configure [New]. Store and Engine are required.
type Options struct {
	Store  store.Store
	Engine Engine
	// Scheduler makes the passes that are asked for. Without one (nil) they are
	// made by the engine in the request itself, and end with it.
	Scheduler Scheduler

	// Authenticate says who calls. An error with the code Unauthenticated or
	// Forbidden refuses the request. nil is [PeerActor].
	Authenticate func(*http.Request) (store.Actor, error)

	// DataDir is shown by GET /status.
	DataDir string
	// TempDir takes backups and imports while they are under way. "" is
	// DataDir: what they hold then stays on the disk that holds it anyway.
	TempDir string
	// Version is shown by GET /status.
	Version string

	Logger  *zap.Logger      // nil logs nothing
	Metrics *metrics.Metrics // nil counts nothing
}
