package oauthtarget

import (
	"crypto/sha256"
	"encoding/hex"
)

// State is what the journal says of a client.
type State string

// The states.
const (
	// Untouched: no DELETE was sent, or one that is known to have done nothing.
	Untouched State = ""
	// Sent: a DELETE was sent, or was about to be, with a token that had proved
	// good.
	Sent State = "sent"
	// Gone: after a DELETE of ours the server said that the client is gone.
	Gone State = "gone"
)

// Doubt is why a 401 does not mean that a client is gone although a DELETE was sent.
type Doubt string

// The doubts.
const (
	// Certain: there is none.
	Certain Doubt = ""
	// Asked: after the DELETE a GET was sent, or was about to be, to a server that
	// gives out another token with each, and it is not known what it answered. The
	// token that is known may be good no more.
	Asked Doubt = "asked"
	// Told: after that an error said so of a client that the registry listed. To take
	// it off is then the word of somebody who has looked.
	Told Doubt = "told"
)

// Entry is what the journal has of one client.
type Entry struct {
	// Key is [Key] of the registration URI.
	Key   string `json:"key"`
	State State  `json:"state,omitempty"`
	// Token replaces the registry's; "" when the server never gave another. It is
	// a secret.
	Token string `json:"token,omitempty"`
	// Instead is [Key] of the registry's token that Token replaces. When the
	// registry has another, that is the newer one.
	Instead string `json:"instead,omitempty"`
	// Doubt is there while the state is Sent. In the file it is never left out: a line
	// without it is of a version that did not know of doubts.
	Doubt Doubt `json:"doubt"`
	// Of is there while the state is Sent. Else the journal names nobody.
	Of *Sending `json:"of,omitempty"`
}

// rotates reports whether the server has ever given out another token.
func (e Entry) rotates() bool { return e.Token != "" }

// tells reports whether it says who a client is, or has a token.
func (e Entry) tells() bool { return e.Of != nil || e.Token != "" }

// same reports whether two entries say the same.
func (e Entry) same(o Entry) bool {
	mine, its := e.Of, o.Of
	e.Of, o.Of = nil, nil
	return e == o && (mine == its || mine != nil && its != nil && *mine == *its)
}

// Sending is whom a DELETE was sent to, and for whom: enough to ask for the client
// when the registry does not list it any more.
type Sending struct {
	TenantID string `json:"tenantId"`
	ClientID string `json:"clientId"`
	URI      string `json:"uri"`
	// Token is the registry's. It is a secret.
	Token string `json:"token"`
}

// Key returns the name of a client in the journal, which does not tell what it is
// made from: a SHA-256 in hexadecimal digits.
func Key(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// Journal remembers what was sent, across crashes. It is safe for concurrent use.
type Journal interface {
	// Entry returns the newest entry of a key, or one that has only the key.
	Entry(key string) Entry
	// Sent returns the entries of a tenant whose state is Sent, in any order.
	Sent(tenantID string) []Entry
	// Record replaces the entry of its key. When it returns nil it is durable;
	// after an error it may or may not be.
	Record(e Entry) error
}
