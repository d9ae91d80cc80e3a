package api

import (
	"net/http"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// issueToken answers POST /tokens: a short-lived token with which its bearer is the
// caller, for the listeners on TCP of this daemon.
func (s *server) issueToken(w http.ResponseWriter, r *request) error {
	in := client.TokenRequest{Role: client.RoleViewer, Seconds: int64(DefaultTokenLife / time.Second)}
	role := string(in.Role)
	if err := readBody(w, r, members{"role": &role, "seconds": &in.Seconds}); err != nil {
		return err
	}
	var err error
	if in.Role, err = client.ParseRole(role); err != nil {
		return err
	}
	if in.Role == client.RoleTenant {
		return store.Errorf(store.Invalid, "role %q: want viewer, operator or super_admin; a tenant's token is made by its issuer", role).At("role")
	}
	if longest := int64(MaxTokenLife / time.Second); in.Seconds < 1 || in.Seconds > longest {
		return store.Errorf(store.Invalid, "seconds %d: want 1 to %d", in.Seconds, longest).At("seconds")
	}
	if s.Tokens == nil {
		return store.Errorf(store.Forbidden, "tokens are made by a daemon, for callers on its Unix socket")
	}
	// The body took its time, and the roles may have changed meanwhile: then either the
	// caller is asked in vain, or the key is not in force any more.
	key := s.Tokens.key.Load()
	caller, err := s.Authenticate(r.Request)
	if err != nil {
		return err
	}
	if !caller.Role.AtLeast(client.RoleSuperAdmin) {
		return store.Errorf(store.Forbidden, "%s has %s by now; want %s", store.Quote(caller.Actor.ID), caller.roleText(), client.RoleSuperAdmin)
	}
	now := time.Now()
	life := time.Duration(in.Seconds) * time.Second
	raw, err := key.issue(caller.Actor, in.Role, now, life)
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, client.Token{Token: raw, Role: in.Role, ExpiresAt: store.Timestamp{Time: now.Add(life)}})
}
