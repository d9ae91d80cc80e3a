package api

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// GatePath is where gateways ask. What follows it, as some append the path of the
// request that they ask about, is not looked at, and neither is the method.
const GatePath = "/access"

// The headers of a question, as they are in an [http.Header].
const (
	// Whom it is about.
	headerTenantID      = "X-Tenant-Id"
	headerForwardedHost = "X-Forwarded-Host"
	// headerAllowed with the value 200 is for gateways that take no other status
	// for consent, such as Envoy.
	headerAllowed = "X-Access-Allowed"
	// headerRefusal with the value "header" is for gateways that cannot pass on
	// the body of an answer, such as nginx: that of a refusal is then in the
	// header of this name, too. An answer to what is wrong with the question is
	// not, so that a gateway can tell a 401 for its user from one for itself.
	headerRefusal = "X-Access-Refusal"
)

// Values of headers that are the same for all answers. A 204 may be kept by caches
// unless it says that it is true only now.
var noStore, zeroLength = []string{"no-store"}, []string{"0"}

// Who may ask the gate without a token.
const (
	AnonymousLoopback = "loopback" // whoever is on this machine
	AnonymousAlways   = "always"
	AnonymousNever    = "never"
)

// GatePolicy is what the configuration says about the gate.
type GatePolicy struct {
	AllowUnknown bool   // serve tenants that are not known
	Anonymous    string // "": AnonymousNever
}

// serves reports whether a tenant may be served.
func (p GatePolicy) serves(a store.Access) bool { return a.Allowed || !a.Known && p.AllowUnknown }

// GateOptions configure [NewGate]. Keeper is required.
type GateOptions struct {
	Keeper store.Gatekeeper
	// Policy is asked for each request. nil is the zero GatePolicy.
	Policy func() GatePolicy
	// Authenticate says who asks, where the policy wants to know. nil refuses.
	Authenticate func(*http.Request) (Caller, error)

	Logger  *zap.Logger      // nil logs nothing
	Metrics *metrics.Metrics // nil counts nothing
}

// Gate tells gateways whether a tenant may be served: 204, or 200 for those that
// want it, if it may, and 401 with the body for the tenant's user if it is
// deactivated, being purged, purged, or below one that is. It answers from memory.
// Whatever is wrong, it is no 2xx.
type Gate struct {
	o GateOptions
}

// NewGate returns the handler of [GatePath].
func NewGate(o GateOptions) *Gate {
	if o.Policy == nil {
		o.Policy = func() GatePolicy { return GatePolicy{} }
	}
	if o.Authenticate == nil {
		o.Authenticate = func(*http.Request) (Caller, error) {
			return Caller{}, store.Errorf(store.Unauthenticated, "the gate knows no callers")
		}
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return &Gate{o}
}

// ServeHTTP implements http.Handler. It does without what [observe] does for other
// calls: a gateway asks for every request of every user.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	ctl := http.NewResponseController(w)
	_ = ctl.SetWriteDeadline(began.Add(stallTimeout)) // the server lifts it after the answer
	if r.ContentLength != 0 {
		// A gateway that passes on a body is answered before it comes. The server
		// would read it first if it were to keep the connection; so it reads it
		// afterwards, within this.
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
		_ = ctl.SetReadDeadline(began.Add(bodyTimeout))
	}
	policy := g.o.Policy()
	access, err := g.ask(r, policy)
	status := http.StatusNoContent
	if err == nil && policy.serves(access) {
		h := w.Header()
		h["Cache-Control"] = noStore
		if v := r.Header[headerAllowed]; len(v) > 0 && v[0] == "200" {
			status = http.StatusOK
			h["Content-Length"] = zeroLength
		}
		w.WriteHeader(status)
	} else {
		r = withTrace(r)
		status = refuse(w, r, access, err)
	}
	g.o.Metrics.HTTPRequest(GatePath, status)
	level := zap.DebugLevel
	if status >= http.StatusInternalServerError {
		level = zap.WarnLevel
	}
	if line := g.o.Logger.Check(level, "access"); line != nil {
		line.Write(zap.Int("status", status), zap.String("decided_by", access.By), zap.String("trace_id", traceOf(r.Context())), zap.Error(err))
	}
}

// ask returns the answer for whom the headers name. A request that names a tenant
// and a host is about both.
func (g *Gate) ask(r *http.Request, policy GatePolicy) (store.Access, error) {
	if err := g.admit(r, policy); err != nil {
		return store.Access{}, err
	}
	id, err := single(r.Header, headerTenantID)
	if err != nil {
		return store.Access{}, err
	}
	host, err := single(r.Header, headerForwardedHost)
	switch {
	case err != nil:
		return store.Access{}, err
	case id == "" && host == "":
		return store.Access{}, parameterf(headerTenantID, "want a header %s or %s that says whom the question is about", headerTenantID, headerForwardedHost)
	case id == "":
		return g.byHost(host)
	}
	if err := store.CheckID(headerTenantID, id); err != nil {
		return store.Access{}, inParameter(err)
	}
	access, err := g.o.Keeper.Access(id)
	if err != nil || host == "" || !policy.serves(access) {
		return access, err
	}
	return g.byHost(host) // which is served, too, or worse
}

// byHost returns the answer for a value of [headerForwardedHost].
func (g *Gate) byHost(value string) (store.Access, error) {
	host, err := hostOf(value)
	if err != nil {
		return store.Access{}, err
	}
	return g.o.Keeper.AccessByHost(host)
}

// admit refuses who may not ask.
func (g *Gate) admit(r *http.Request, policy GatePolicy) error {
	switch {
	case policy.Anonymous == AnonymousAlways,
		policy.Anonymous == AnonymousLoopback && fromLoopback(r.RemoteAddr):
		return nil
	}
	c, err := g.o.Authenticate(r)
	if err == nil && !c.Role.AtLeast(client.RoleViewer) {
		err = store.Errorf(store.Forbidden, "%s wants the role %s; %s has %s", GatePath, client.RoleViewer, store.Quote(c.Actor.ID), c.roleText())
	}
	return err
}

// tenantAccess answers GET /tenants/{id}/access, for callers that are known.
func (s *server) tenantAccess(w http.ResponseWriter, r *request) error {
	if s.Gate == nil {
		return store.Errorf(store.Unavailable, "the gate is a daemon's")
	}
	access, err := s.Gate.o.Keeper.Access(r.id)
	if err != nil {
		return err
	}
	if s.Gate.o.Policy().serves(access) {
		return noContent(w)
	}
	refuse(w, r.Request, access, nil)
	return nil
}

// fromLoopback reports whether a peer is on this machine.
func fromLoopback(remote string) bool {
	peer, err := netip.ParseAddrPort(remote)
	return err == nil && peer.Addr().Unmap().IsLoopback()
}

// single returns a header that may be there once, "" when it is not: two of them
// would mean one thing here and another at the upstream.
func single(h http.Header, name string) (string, error) {
	switch v := h[http.CanonicalHeaderKey(name)]; len(v) {
	case 0:
		return "", nil
	case 1:
		return v[0], nil
	default:
		return "", parameterf(name, "header %s: there %d times; want it once", name, len(v))
	}
}

// hostOf returns the host name of a value of [headerForwardedHost], which may have
// a port. What is not one name, such as the list that a chain of proxies makes, is
// refused whatever is said of unknown tenants: the upstream might find another
// name in it.
func hostOf(value string) (string, error) {
	host, port := value, ""
	if end := strings.IndexByte(value, ']'); strings.HasPrefix(value, "[") && end > 0 {
		host, port = value[:end+1], value[end+1:]
	} else if colon := strings.IndexByte(value, ':'); colon >= 0 {
		host, port = value[:colon], value[colon:]
	}
	if !isHost(host) || !isPort(port) {
		return "", parameterf(headerForwardedHost, "header %s: want one host name, with a port or without", headerForwardedHost)
	}
	return host, nil
}

// isHost reports whether s is a host name, with a dot at the end or without, or an
// address, which no tenant has.
func isHost(s string) bool {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		_, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil
	}
	name := strings.TrimSuffix(s, ".")
	return name != "" && store.CheckHostname(name) == nil
}

// isPort reports whether s is a colon and a port number, or nothing.
func isPort(s string) bool {
	number, ok := strings.CutPrefix(s, ":")
	return s == "" || ok && len(number) <= 5 && strings.Trim(number, "0123456789") == ""
}
