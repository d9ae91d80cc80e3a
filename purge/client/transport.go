package client

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// NewTransport returns a transport whose every connection goes to the Unix
// socket at path, however long the path is.
func NewTransport(path string) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := DialSocket(ctx, path)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrNotReachable, err)
			}
			return conn, nil
		},
		DisableCompression: true, // nothing is gained on one machine
		MaxIdleConns:       2,
		IdleConnTimeout:    30 * time.Second,
	}
}

// Dial returns a client of the daemon that listens on the socket at path. When
// nobody does, [ErrNotReachable] is in the error's chain.
func Dial(ctx context.Context, path string) (*Client, error) {
	conn, err := DialSocket(ctx, path)
	if err != nil {
		return nil, cutOff(ctx, "dial", path, fmt.Errorf("%w: %w", ErrNotReachable, err))
	}
	conn.Close()
	return Over(NewTransport(path)), nil
}
