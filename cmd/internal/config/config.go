// Package config reads the daemon's configuration: one YAML file, strict, in
// which every key has a default. All that is wrong with a file is told at
// once, each with its line, its key, its value and what would be right.
//
// deploy/purger.yaml in the repository documents every key.
package config

import (
	"time"

	"github.com/tenantpurge/purger/store"
)

// Config is the configuration. Begin with [Default]: the zero value is not
// valid.
type Config struct {
	// DataDir holds the store, the socket and the lock. A relative one is
	// relative to the working directory.
	DataDir string
	Log     Log
	Web     Web
	Tenants Tenants
	Purge   Purge
	Limits  Limits
	API     API
	Store   Store
}

// Log says what is logged and how.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // auto (console on a terminal, else json), json or console
}

// Web is about the metrics and health pages.
type Web struct {
	ListenAddress string // host:port
	// ConfigFile is an exporter-toolkit file for TLS and basic auth, absolute
	// once it was loaded; "" is neither.
	ConfigFile string
	// Insecure listens without TLS beyond the loopback address, too.
	Insecure bool
}

// Tenants is about what may become of tenants.
type Tenants struct {
	GracePeriod store.Grace // in days; no field is 0
	Protected   []string    // ids that can be neither deactivated nor purged
}

// Purge says when and how hard the engine works.
type Purge struct {
	Schedule    string // see scheduler.ParseSchedule
	Concurrency int    // tenants at a time
	Attempts    int    // until a tenant is failed
	Backoff     Backoff
	CallTimeout time.Duration // of one call of a target
	// Lease is how long a claim outlives the last sign of life of its owner.
	Lease        time.Duration
	DrainTimeout time.Duration // for what is running when the daemon stops
}

// Backoff is the wait after a failed attempt: Initial after the first one,
// growing up to Max.
type Backoff struct {
	Initial, Max time.Duration
}

// Limits bound how much is purged.
type Limits struct {
	PerPass int64 // tenants in one pass; 0 is no bound
	PerDay  int64 // tenants in 24 h; 0 is no bound
	// PerDayShare is a share of all tenants, 0 to 1, in 24 h; 0 is no bound.
	PerDayShare float64
	// PerDayShareFloor is what PerDayShare allows at the least.
	PerDayShareFloor int64
	Batch            int // resources in one call of a target
}

// Store is about the embedded store.
type Store struct {
	TransactionTarget time.Duration // what a purge transaction aims to take
	MmapSize          int64         // address space set aside for the file, in bytes
	CompactAfter      time.Duration // between two compactions; 0 is only by hand
	ImportTempDir     string        // for the sorting of an import; "" is DataDir
}

// Default returns the configuration of an empty file.
func Default() Config {
	return Config{
		DataDir: "./purger-data",
		Log:     Log{Level: "info", Format: "auto"},
		Web:     Web{ListenAddress: "127.0.0.1:9464"},
		Tenants: Tenants{GracePeriod: store.DefaultGrace()},
		Purge: Purge{
			Schedule:     "*/5 * * * *",
			Concurrency:  64,
			Attempts:     10,
			Backoff:      Backoff{Initial: 30 * time.Second, Max: 6 * time.Hour},
			CallTimeout:  30 * time.Second,
			Lease:        5 * time.Minute,
			DrainTimeout: 30 * time.Second,
		},
		Limits: Limits{PerPass: 1000, PerDayShare: 0.10, PerDayShareFloor: 50, Batch: 5000},
		API:    defaultAPI(),
		Store:  Store{TransactionTarget: 10 * time.Millisecond, MmapSize: 4 << 30, CompactAfter: 24 * time.Hour},
	}
}
