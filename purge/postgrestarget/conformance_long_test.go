//go:build long

package postgrestarget_test

import (
	"testing"

	"github.com/tenantpurge/purger/purge/postgrestarget"
)

const (
	partitionedSQL = `
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY, tenant_id text NOT NULL, name text, PRIMARY KEY (tenant_id, id)) PARTITION BY HASH (tenant_id);
CREATE TABLE users_0 PARTITION OF users FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE users_1 PARTITION OF users FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE credentials (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, name text);
CREATE TABLE credentials_child () INHERITS (credentials);
CREATE TABLE api_keys (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, tenant_id text NOT NULL, name text);
CREATE TABLE oauth_clients (tenant_id text NOT NULL, client text DEFAULT gen_random_uuid(), name text);
`
	caselessSQL = `
CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text COLLATE caseless NOT NULL, name text);
CREATE INDEX ON users (tenant_id, id);
CREATE TABLE credentials (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id varchar(200) COLLATE caseless, name text);
CREATE TABLE api_keys (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, tenant_id text COLLATE caseless, name text);
CREATE TABLE oauth_clients (tenant_id text COLLATE caseless NOT NULL, client text DEFAULT gen_random_uuid(), name text, PRIMARY KEY (tenant_id, client));
`
)

func TestTarget_ConformanceOfOtherTables(t *testing.T) {
	conform(t, "Own", setUp{config: ownStatements, noLedger: true})
	conform(t, "NoLedger", setUp{noLedger: true})
	conform(t, "OwnWithLedger", setUp{config: ownStatements})
	conform(t, "Varchar", setUp{typ: "varchar(200) NOT NULL"})
	conform(t, "Caseless", setUp{sql: caselessSQL})
	conform(t, "Partitioned", setUp{sql: partitionedSQL, config: func(c *postgrestarget.Config) { c.Connections = 2 }})
	conform(t, "WithoutPreparedStatements", setUp{config: func(c *postgrestarget.Config) { c.DSN += "&default_query_exec_mode=exec" }})
	u, _ := behind(t, ownStatements)
	conform(t, "OwnBehindPgBouncer", u)
}
