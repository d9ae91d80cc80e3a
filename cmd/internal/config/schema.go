package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/scheduler"
	"github.com/tenantpurge/purger/store"
)

// schema returns every key, in the order in which they are printed.
func schema() []field {
	const (
		day  = 24 * time.Hour
		many = math.MaxInt32 // tenants or resources
		tib  = 1 << 40
	)
	var policies []string
	for _, p := range purge.DeletePolicies() {
		policies = append(policies, string(p))
	}
	return slices.Concat([]field{
		text("dataDir", func(c *Config) *string { return &c.DataDir }, "a directory", checkDir),

		choice("log.level", func(c *Config) *string { return &c.Log.Level }, "debug", "info", "warn", "error"),
		choice("log.format", func(c *Config) *string { return &c.Log.Format }, "auto", "json", "console"),

		text("web.listenAddress", func(c *Config) *string { return &c.Web.ListenAddress }, wantAddress, checkAddress),
		text("web.configFile", func(c *Config) *string { return &c.Web.ConfigFile }, "a file", anyText),
		flag("web.insecure", func(c *Config) *bool { return &c.Web.Insecure }),

		whole("tenants.gracePeriod.min", func(c *Config) *int { return &c.Tenants.GracePeriod.Min }, 1, maxGrace),
		whole("tenants.gracePeriod.max", func(c *Config) *int { return &c.Tenants.GracePeriod.Max }, 1, maxGrace),
		whole("tenants.gracePeriod.default", func(c *Config) *int { return &c.Tenants.GracePeriod.Default }, 1, maxGrace),
		ids("tenants.protected", func(c *Config) *[]string { return &c.Tenants.Protected }),

		text("purge.schedule", func(c *Config) *string { return &c.Purge.Schedule }, "a cron schedule", checkSchedule),
		whole("purge.concurrency", func(c *Config) *int { return &c.Purge.Concurrency }, 1, 1024),
		whole("purge.attempts", func(c *Config) *int { return &c.Purge.Attempts }, 1, 1000),
		span("purge.backoff.initial", func(c *Config) *time.Duration { return &c.Purge.Backoff.Initial }, "30s", time.Second, day),
		span("purge.backoff.max", func(c *Config) *time.Duration { return &c.Purge.Backoff.Max }, "6h", time.Second, 7*day),
		span("purge.callTimeout", func(c *Config) *time.Duration { return &c.Purge.CallTimeout }, "30s", time.Second, time.Hour),
		span("purge.lease", func(c *Config) *time.Duration { return &c.Purge.Lease }, "5m", 10*time.Second, day),
		span("purge.drainTimeout", func(c *Config) *time.Duration { return &c.Purge.DrainTimeout }, "30s", time.Second, time.Hour),

		whole("limits.perPass", func(c *Config) *int64 { return &c.Limits.PerPass }, 0, many),
		whole("limits.perDay", func(c *Config) *int64 { return &c.Limits.PerDay }, 0, many),
		share("limits.perDayShare", func(c *Config) *float64 { return &c.Limits.PerDayShare }),
		whole("limits.perDayShareFloor", func(c *Config) *int64 { return &c.Limits.PerDayShareFloor }, 0, many),
		whole("limits.batch", func(c *Config) *int { return &c.Limits.Batch }, 1, 1_000_000),
	}, schemaAPI(policies), []field{
		span("store.transactionTarget", func(c *Config) *time.Duration { return &c.Store.TransactionTarget }, "10ms", time.Millisecond, time.Second),
		size("store.mmapSize", func(c *Config) *int64 { return &c.Store.MmapSize }, "4GiB", 1<<20, 16*tib),
		span("store.compactAfter", func(c *Config) *time.Duration { return &c.Store.CompactAfter }, "24h", 0, 366*day),
		text("store.importTempDir", func(c *Config) *string { return &c.Store.ImportTempDir }, "a directory", anyText),
	})
}

// maxGrace is the longest grace period, in days, that a purge takes for sane
// (see store.Tenant.CheckDate).
const maxGrace = 3650

func anyText(string) error { return nil }

func checkDir(s string) error {
	if s == "" {
		return errors.New("want a directory, such as ./purger-data")
	}
	return nil
}

const wantAddress = "an address and a port, such as 127.0.0.1:9464, [::1]:9464 or :9464"

// checkAddress accepts what net.Listen does, with a port in digits and a host
// that looks like one.
func checkAddress(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New("want " + wantAddress)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return errors.New("want a port from 0 (any free one) to 65535 behind the last colon")
	}
	ip, _, _ := strings.Cut(host, "%") // an IPv6 address may name its interface
	if host == "" || net.ParseIP(ip) != nil {
		return nil
	}
	if looksNumeric(host) || store.CheckHostname(host) != nil {
		return errors.New("want " + wantAddress)
	}
	return nil
}

// looksNumeric reports a host of digits and dots, which is an IPv4 address with
// a mistake in it and not a name.
func looksNumeric(host string) bool {
	return strings.Trim(host, "0123456789.") == ""
}

// checkSchedule returns what [scheduler.ParseSchedule] says, without the
// schedule, which the problem shows anyway.
func checkSchedule(s string) error {
	_, err := scheduler.ParseSchedule(s)
	if err == nil {
		return nil
	}
	return errors.New(strings.TrimPrefix(err.Error(), fmt.Sprintf("schedule %.64q: ", s)))
}

// loopbackHost reports whether a host is this machine, whatever its network is.
func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
