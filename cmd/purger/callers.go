package main

import (
	"fmt"
	"net/http"
	"reflect"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/cmd/internal/api"
	"github.com/tenantpurge/purger/cmd/internal/config"
)

// callers says who may do what, by the configuration in force. It is safe for
// concurrent use.
type callers struct {
	logger *zap.Logger
	local  *api.LocalTokens
	tokens atomic.Pointer[api.Tokens]
	peers  atomic.Pointer[api.Peers]
	// What tokens and peers were made of. They are the reload's.
	auth   config.Auth
	socket config.Socket
}

// newCallers returns the callers of a configuration.
func newCallers(cfg config.Config, l *zap.Logger) (*callers, error) {
	local, err := api.NewLocalTokens()
	if err != nil {
		return nil, err
	}
	c := &callers{logger: l, local: local, socket: cfg.API.Socket}
	apply, err := c.prepare(cfg)
	if err != nil {
		return nil, err
	}
	apply()
	return c, nil
}

// prepare reads everything that another configuration needs and returns what puts
// it in force. The files are read again even if their names are the same. Other roles
// on the socket end the tokens that were made there, by the roles that were: each
// would go on with a role that its maker may have lost.
func (c *callers) prepare(cfg config.Config) (apply func(), err error) {
	peers, err := api.NewPeers(cfg.API.Socket.Roles)
	if err != nil {
		return nil, &exitError{code: exitConfig, err: fmt.Errorf("api.socket.roles: %w", err)}
	}
	endTokens := func() {}
	if !reflect.DeepEqual(cfg.API.Socket, c.socket) {
		if endTokens, err = c.local.Renew(); err != nil {
			return nil, err
		}
	}
	applyPeers := func() {
		c.socket = cfg.API.Socket
		c.peers.Store(peers)
		endTokens() // after the roles, so that none is made by the old ones and kept
	}
	auth := cfg.API.Auth
	if auth.KeysFile == "" && c.tokens.Load() != nil && reflect.DeepEqual(auth, c.auth) {
		return applyPeers, nil // with the keys that the issuer has told
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
		o.Keys = api.NewIssuerKeys(auth.Issuer, nil, c.logger)
	}
	tokens := api.NewTokens(o)
	return func() {
		c.auth = auth
		applyPeers()
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
