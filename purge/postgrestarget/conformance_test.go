package postgrestarget_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
	"github.com/tenantpurge/purger/purge/targettest"
	"github.com/tenantpurge/purger/store"
)

// ownStatements uses all that an operator's own statement may be.
func ownStatements(c *postgrestarget.Config) {
	c.Kinds = map[store.Kind]postgrestarget.Kind{}
	for kind := range tables() {
		count := "SELECT count(*) FROM " + tableOf(kind) + " WHERE tenant_id = $1"
		remove := "DELETE FROM " + tableOf(kind) + " WHERE ctid IN (SELECT ctid FROM " + tableOf(kind) + " WHERE tenant_id = $1 LIMIT $2)"
		switch kind {
		case store.KindUser:
			remove += " RETURNING id"
		case store.KindCredential:
			remove = "WITH gone AS (" + remove + " RETURNING 1) SELECT count(*) FROM gone"
		}
		c.Kinds[kind] = postgrestarget.Kind{Count: count, Delete: remove}
	}
}

func TestTarget_Conformance(t *testing.T) {
	conform(t, "Ledger", setUp{})
}

// conform runs the suite on one database, emptied for each of its tests.
func conform(t *testing.T, name string, u setUp) {
	t.Run(name, func(t *testing.T) {
		b := u.make(t)
		targettest.Run(t, targettest.Harness{Patience: 20 * time.Second, New: func(t *testing.T) targettest.System {
			b.server.Exec(t, b.db, "TRUNCATE users, credentials, api_keys, oauth_clients")
			to := b.server.Addr()
			if u.through != nil {
				to = u.through.Addr()
			}
			proxy := pgtest.NewProxy(t, to)
			return targettest.System{
				Target: b.again(t, u, pgtest.Through(b.server.DSN(b.db), proxy.Addr())),
				Add: func(tenant string, kind store.Kind, n int) error {
					if strings.ContainsRune(tenant, 0) {
						return errors.New("PostgreSQL holds no NUL byte")
					}
					b.add(t, tenant, kind, n)
					return nil
				},
				Left: func(tenant string, kind store.Kind) (int64, error) {
					if strings.ContainsRune(tenant, 0) {
						return 0, nil
					}
					return b.left(t, tenant, kind), nil
				},
				Break: proxy.Down,
			}
		}})
	})
}
