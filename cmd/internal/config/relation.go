package config

import "fmt"

// relation is a rule between two fields.
type relation struct {
	first, second string
	holds         func(c *Config) bool
	// want says what would be right for second when it is the one to blame.
	want func(c *Config) string
}

// relations returns every rule between fields that a field's own range does
// not imply. They are looked at when both fields are sound.
func relations() []relation {
	atLeast := func(key string, v func(c *Config) any) func(*Config) string {
		return func(c *Config) string { return fmt.Sprintf("want at least %s, which is %v", key, v(c)) }
	}
	return []relation{
		{"tenants.gracePeriod.min", "tenants.gracePeriod.max",
			func(c *Config) bool { return c.Tenants.GracePeriod.Min <= c.Tenants.GracePeriod.Max },
			atLeast("tenants.gracePeriod.min", func(c *Config) any { return c.Tenants.GracePeriod.Min })},
		{"tenants.gracePeriod.min", "tenants.gracePeriod.default",
			func(c *Config) bool { g := c.Tenants.GracePeriod; return g.Min <= g.Default || g.Min > g.Max },
			atLeast("tenants.gracePeriod.min", func(c *Config) any { return c.Tenants.GracePeriod.Min })},
		{"tenants.gracePeriod.default", "tenants.gracePeriod.max",
			func(c *Config) bool { g := c.Tenants.GracePeriod; return g.Default <= g.Max || g.Min > g.Max },
			atLeast("tenants.gracePeriod.default", func(c *Config) any { return c.Tenants.GracePeriod.Default })},
		{"purge.backoff.initial", "purge.backoff.max",
			func(c *Config) bool { return c.Purge.Backoff.Initial <= c.Purge.Backoff.Max },
			atLeast("purge.backoff.initial", func(c *Config) any { return formatDuration(c.Purge.Backoff.Initial) })},
		// Without both nothing says for whom a token is, or who made it.
		{"api.auth.issuer", "api.auth.audience",
			func(c *Config) bool { return c.API.Auth.Issuer == "" || c.API.Auth.Audience != "" },
			func(*Config) string { return "want the audience that tokens of api.auth.issuer must be for" }},
		{"api.auth.audience", "api.auth.issuer",
			func(c *Config) bool { return c.API.Auth.Audience == "" || c.API.Auth.Issuer != "" },
			func(*Config) string { return "want the issuer of the tokens that are for api.auth.audience" }},
		{"api.auth.keysFile", "api.auth.issuer",
			func(c *Config) bool {
				return c.API.Auth.KeysFile == "" || c.API.Auth.Issuer != "" || c.API.Auth.Audience != ""
			},
			func(*Config) string { return "want the issuer whose keys api.auth.keysFile holds" }},
		// Nobody extends a lease while a call is under way.
		{"purge.callTimeout", "purge.lease",
			func(c *Config) bool { return c.Purge.CallTimeout < c.Purge.Lease },
			func(c *Config) string {
				return fmt.Sprintf("want more than purge.callTimeout, which is %s", formatDuration(c.Purge.CallTimeout))
			}},
	}
}
