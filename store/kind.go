package store

// Kind is a kind of resource that belongs to a tenant.
type Kind string

// The kinds, in the order in which a purge removes them (G3): machine access
// goes before people.
const (
	KindOAuthClient Kind = "oauthClient"
	KindAPIKey      Kind = "apiKey"
	KindCredential  Kind = "credential"
	KindUser        Kind = "user"
)

// Kinds returns every kind in the order of removal.
func Kinds() []Kind {
	return []Kind{KindOAuthClient, KindAPIKey, KindCredential, KindUser}
}

// ParseKind returns the kind that s names, or an [Invalid] error.
func ParseKind(s string) (Kind, error) {
	for _, k := range Kinds() {
		if s == string(k) {
			return k, nil
		}
	}
	return "", Errorf(Invalid, "kind %s: want oauthClient, apiKey, credential or user", Quote(s)).At("kind")
}

// Counts holds a number of resources for each kind, and of sub-tenants. The
// zero value counts nothing. Its JSON form is that of "resourcesDeleted".
type Counts struct {
	Users        int64 `json:"users"`
	Credentials  int64 `json:"credentials"`
	APIKeys      int64 `json:"apiKeys"`
	OAuthClients int64 `json:"oauthClients"`
	// SubTenants counts all descendants, at every depth.
	SubTenants int64 `json:"subTenants"`
}

// Of returns the count of one kind, 0 for an unknown one.
func (c Counts) Of(k Kind) int64 {
	switch k {
	case KindOAuthClient:
		return c.OAuthClients
	case KindAPIKey:
		return c.APIKeys
	case KindCredential:
		return c.Credentials
	case KindUser:
		return c.Users
	}
	return 0
}

// Add adds n to the count of one kind; an unknown kind changes nothing.
func (c *Counts) Add(k Kind, n int64) {
	switch k {
	case KindOAuthClient:
		c.OAuthClients += n
	case KindAPIKey:
		c.APIKeys += n
	case KindCredential:
		c.Credentials += n
	case KindUser:
		c.Users += n
	}
}

// Plus returns the sum of c and o.
func (c Counts) Plus(o Counts) Counts {
	return Counts{
		Users:        c.Users + o.Users,
		Credentials:  c.Credentials + o.Credentials,
		APIKeys:      c.APIKeys + o.APIKeys,
		OAuthClients: c.OAuthClients + o.OAuthClients,
		SubTenants:   c.SubTenants + o.SubTenants,
	}
}

// Resources returns how many resources of all kinds c counts, sub-tenants
// excepted.
func (c Counts) Resources() int64 {
	return c.Users + c.Credentials + c.APIKeys + c.OAuthClients
}
