package config

import (
	"errors"
	"net/url"
	"regexp"
	"time"
)

// schemaAPI returns the keys of the section api.
func schemaAPI(policies []string) []field {
	return []field{
		choice("api.immediateDelete", func(c *Config) *string { return &c.API.ImmediateDelete }, policies...),
		choice("api.confirmHostname", func(c *Config) *string { return &c.API.ConfirmHostname }, "required", "optional"),
		span("api.syncTimeout", func(c *Config) *time.Duration { return &c.API.SyncTimeout }, "30s", time.Second, time.Hour),

		text("api.auth.issuer", func(c *Config) *string { return &c.API.Auth.Issuer }, "a URL", checkIssuer),
		text("api.auth.audience", func(c *Config) *string { return &c.API.Auth.Audience }, "an audience", anyText),
		text("api.auth.keysFile", func(c *Config) *string { return &c.API.Auth.KeysFile }, "a file", anyText),
		text("api.auth.rolesClaim", func(c *Config) *string { return &c.API.Auth.RolesClaim }, wantClaim, checkClaim),
		roles("api.auth.roles", func(c *Config) *rolesOf { return &c.API.Auth.Roles }, "a value of the claim", checkClaimValue),
		text("api.auth.tenantClaim", func(c *Config) *string { return &c.API.Auth.TenantClaim }, wantClaim, checkClaim),
		flag("api.auth.requireNotBefore", func(c *Config) *bool { return &c.API.Auth.RequireNotBefore }),
		span("api.auth.clockSkew", func(c *Config) *time.Duration { return &c.API.Auth.ClockSkew }, "30s", 0, 5*time.Minute),

		roles("api.socket.roles", func(c *Config) *rolesOf { return &c.API.Socket.Roles }, wantPeer, checkPeer),

		whole("api.limits.concurrency", func(c *Config) *int { return &c.API.Limits.Concurrency }, 1, 100_000),
		whole("api.limits.perSubject", func(c *Config) *int { return &c.API.Limits.PerSubject }, 0, 1_000_000),
		whole("api.limits.burst", func(c *Config) *int { return &c.API.Limits.Burst }, 1, 1_000_000),

		choice("api.gate.unknown", func(c *Config) *string { return &c.API.Gate.Unknown }, "deny", "allow"),
		choice("api.gate.anonymous", func(c *Config) *string { return &c.API.Gate.Anonymous }, "loopback", "always", "never"),

		whole("api.approvals.delete", func(c *Config) *int { return &c.API.Approvals.Delete }, 1, 2),
		whole("api.approvals.resume", func(c *Config) *int { return &c.API.Approvals.Resume }, 1, 2),
		span("api.approvals.expire", func(c *Config) *time.Duration { return &c.API.Approvals.Expire }, "24h", time.Minute, 168*time.Hour),
	}
}

// checkIssuer accepts what OpenID Connect Discovery can be asked for: an https
// URL without query and fragment, or http on the loopback address.
func checkIssuer(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Scheme != "https" && (u.Scheme != "http" || !loopbackHost(u.Hostname())) {
		return errors.New("want an https URL without query, such as https://id.example.com/realms/ops")
	}
	return nil
}

const wantClaim = "the name of a claim, such as roles or realm_access.roles"

func checkClaim(s string) error {
	if s == "" {
		return errors.New("want " + wantClaim)
	}
	return nil
}

func checkClaimValue(s string) error {
	if s == "" {
		return errors.New("want a value of the claim")
	}
	return nil
}

const wantPeer = "user:NAME, uid:N, group:NAME, gid:N or *"

// checkPeer looks at the form only: which users there are is known where the
// daemon runs.
func checkPeer(s string) error {
	if !regexp.MustCompile(`^(\*|(user|group):[^:\s]+|(uid|gid):[0-9]{1,10})$`).MatchString(s) {
		return errors.New("want " + wantPeer)
	}
	return nil
}
