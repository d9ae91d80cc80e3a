package main

import (
	"fmt"
	"net/http"
	"reflect"
	"sync/atomic"

	"github.com/tenantpurge/purger/cmd/internal/api"
	"github.com/tenantpurge/purger/cmd/internal/config"
)

// callers says who may do what, by the configuration in force. It is safe for
// concurrent use.
type callers struct {
	local  *api.LocalTokens
	tokens atomic.Pointer[api.Tokens]
	peers  atomic.Pointer[api.Peers]
	auth   config.Auth // what tokens was made of
}

// newCallers returns the callers of a configuration.
func newCallers(cfg config.Config) (*callers, error) {
	local, err := api.NewLocalTokens()
	if err != nil {
		return nil, err
	}
	c := &callers{local: local}
	apply, err := c.prepare(cfg)
	if err != nil {
		return nil, err
	}
	apply()
	return c, nil
}

// prepare reads everything that another configuration needs and returns what puts
// it in force. The files are read again even if their names are the same.
func (c *callers) prepare(cfg config.Config) (apply func(), err error) {
	peers, err := api.NewPeers(cfg.API.Socket.Roles)
	if err != nil {
		return nil, &exitError{code: exitConfig, err: fmt.Errorf("api.socket.roles: %w", err)}
	}
	auth := cfg.API.Auth
	if auth.KeysFile == "" && c.tokens.Load() != nil && reflect.DeepEqual(auth, c.auth) {
		return func() { c.peers.Store(peers) }, nil // with the keys that the issuer has told
	}
	o := api.TokenOptions{
		Issuer: auth.Issuer, Audience: auth.Audience, RolesClaim: auth.RolesClaim, Roles: auth.Roles, TenantClaim: auth.TenantClaim,
		RequireNotBefore: auth.RequireNotBefore, ClockSkew: auth.ClockSkew, Local: c.local,
	}
	switch {
	case auth.KeysFile != "":
		if o.Keys, err = api.ReadKeys(auth.KeysFile); err != nil {
			return nil, &exitError{code: exitConfig, err: fmt.Errorf("api.auth.keysFile: %w", err)}
		}
	case auth.Issuer != "":
		o.Keys = api.NewIssuerKeys(auth.Issuer, nil)
	}
	tokens := api.NewTokens(o)
	return func() {
		c.auth = auth
		c.peers.Store(peers)
		c.tokens.Store(tokens)
	}, nil
}

// onSocket is the Authenticate of the Unix socket.
func (c *callers) onSocket(r *http.Request) (api.Caller, error) {
	return c.peers.Load().Authenticate(r)
}

// onTCP is the Authenticate of the listeners on TCP.
func (c *callers) onTCP(r *http.Request) (api.Caller, error) {
	return c.tokens.Load().Authenticate(r)
}
