package store

// Unaccounted is a difference between what was counted in a target and what was
// removed from it.
type Unaccounted struct {
	At Timestamp `json:"at"` // when it was first found to be so
	// Counts is how much more was counted than removed; negative is how much more
	// the target said to have removed than was counted.
	Counts Counts `json:"counts"`
}

// Most returns the larger count of each kind, and of sub-tenants.
func (c Counts) Most(o Counts) Counts {
	return Counts{
		Users:        max(c.Users, o.Users),
		Credentials:  max(c.Credentials, o.Credentials),
		APIKeys:      max(c.APIKeys, o.APIKeys),
		OAuthClients: max(c.OAuthClients, o.OAuthClients),
		SubTenants:   max(c.SubTenants, o.SubTenants),
	}
}
