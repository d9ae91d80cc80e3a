package api

import (
	"context"
	"net/http"
	"time"

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

	// Authenticate says who calls. An error, with the code Unauthenticated or
	// Unavailable, refuses the request. nil is that of the zero [Peers].
	Authenticate func(*http.Request) (Caller, error)

	// Limits returns the limits in force; it is asked for each request. nil has
	// none.
	Limits func() Limits
	// Approvals returns how many people calls take; it is asked for each of them. nil
	// is one for everything.
	Approvals func() Approvals
	// Tokens makes the tokens of POST /tokens; nil makes none.
	Tokens *LocalTokens

	// Policy returns what the configuration says about calls; it is asked for
	// each request. nil is the zero Policy.
	Policy func() Policy
	// Deletions carries out deletions beyond their requests. Without one (nil)
	// they are carried out in the request itself, and end with it.
	Deletions *Deletions
	// Remote says that callers are elsewhere: a defect is told to them without its
	// details, which the log has.
	Remote bool

	// Gate answers GET /tenants/{id}/access; nil is unavailable.
	Gate *Gate

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

// Policy is what a configuration says about calls.
type Policy struct {
	// HostnameOptional lets calls that change who is served leave out the host
	// name of the tenant.
	HostnameOptional bool
	// SyncTimeout is how long a deletion may keep its caller waiting, before the
	// answer only says where to ask for it; 0 is without a limit.
	SyncTimeout time.Duration
}

// policy returns the policy in force.
func (s *server) policy() Policy {
	if s.Policy == nil {
		return Policy{}
	}
	return s.Policy()
}
