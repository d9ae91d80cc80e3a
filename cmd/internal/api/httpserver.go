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
		Handler:           closeAfterChunks(h),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    32 << 10,
		ConnContext:       withPeer,
		ErrorLog:          zap.NewStdLog(l.Named("http")),
		// OPTIONS * is a request as any other: who calls is asked first.
		DisableGeneralOptionsHandler: true,
	}
}

// closeAfterChunks makes a request with chunks the last one of its connection. It
// may have had a length, too, which net/http does not tell: somebody in between who
// went by that one would take what follows for another request (RFC 9112, section
// 6.1).
func closeAfterChunks(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}
