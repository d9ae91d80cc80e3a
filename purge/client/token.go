package client

import (
	"bytes"
	"context"
	"net/http"
	"os"

	"github.com/tenantpurge/purger/store"
)

// TokenRequest is the body of POST /tokens.
type TokenRequest struct {
	Role    Role  `json:"role,omitempty"`    // "": viewer
	Seconds int64 `json:"seconds,omitempty"` // how long it is good for, 1 to 3600; 0: 900
}

// Token is the answer of POST /tokens.
type Token struct {
	Token     string          `json:"token"`
	Role      Role            `json:"role"`
	ExpiresAt store.Timestamp `json:"expiresAt"`
}

// IssueToken makes a short-lived token. Only a super_admin on the daemon's Unix
// socket may.
func (c *Client) IssueToken(ctx context.Context, r TokenRequest) (Token, error) {
	return call[Token](ctx, c, http.MethodPost, "/tokens", nil, r)
}

// maxTokenFile bounds the file of a token, in bytes.
const maxTokenFile = 16 << 10

// TokenFile returns the source of a token that stands in a file, which is read
// for each request. White space around it does not count.
func TokenFile(path string) TokenSource {
	return func(context.Context) (string, error) {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		token := bytes.TrimSpace(data)
		if len(token) == 0 || len(token) > maxTokenFile || bytes.ContainsAny(token, " \t\r\n") {
			return "", store.Errorf(store.Invalid, "%s: want a file with one token and nothing else", path)
		}
		return string(token), nil
	}
}
