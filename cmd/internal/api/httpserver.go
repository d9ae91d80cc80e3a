package api

import (
	"net/http"
	"time"

	"go.uber.org/zap"
)

// How long a caller may take. Answers have no limit of their own: a pass or a
// backup takes as long as it takes, and a caller that leaves ends the request.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = 30 * time.Second // for a JSON body
	idleTimeout   = 2 * time.Minute
	stallTimeout  = time.Minute      // for one write of an answer
	streamTimeout = 10 * time.Minute // for one read or write of an import, export or backup
)

// NewHTTPServer returns a server for the handler of [New] on a listener of
// [ListenUnix]: with timeouts, and with the peer of each connection at hand for
// [Peers]. A nil logger logs nothing.
func NewHTTPServer(h http.Handler, l *zap.Logger) *http.Server {
	if l == nil {
		l = zap.NewNop()
	}
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    32 << 10,
		ConnContext:       withPeer,
		ErrorLog:          zap.NewStdLog(l.Named("http")),
	}
}
