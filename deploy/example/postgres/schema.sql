-- A small platform: tenants in a forest, and what they have. Every foreign key has
-- an index, without which PostgreSQL reads the whole child table for each row that
-- is deleted.
CREATE TABLE tenants (
	id                   text PRIMARY KEY,
	parent_id            text REFERENCES tenants,
	name                 text NOT NULL,
	hostname             text,
	status               text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
	disabled_at          timestamptz,
	purge_after_days     int CHECK (purge_after_days BETWEEN 10 AND 90),
	CHECK ((status = 'disabled') = (disabled_at IS NOT NULL))
);
CREATE INDEX ON tenants (parent_id);

CREATE TABLE users (
	id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	tenant_id text NOT NULL REFERENCES tenants,
	email     text NOT NULL
);
CREATE INDEX ON users (tenant_id);

CREATE TABLE credentials (
	id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	tenant_id text NOT NULL REFERENCES tenants,
	user_id   bigint NOT NULL REFERENCES users,
	hash      text NOT NULL
);
CREATE INDEX ON credentials (tenant_id);
CREATE INDEX ON credentials (user_id);

CREATE TABLE api_keys (
	id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	tenant_id text NOT NULL REFERENCES tenants,
	user_id   bigint REFERENCES users,
	prefix    text NOT NULL
);
CREATE INDEX ON api_keys (tenant_id);
CREATE INDEX ON api_keys (user_id);

CREATE TABLE oauth_clients (
	id        text PRIMARY KEY,
	tenant_id text NOT NULL REFERENCES tenants,
	name      text NOT NULL
);
CREATE INDEX ON oauth_clients (tenant_id);

-- What purger may do, and no more.
CREATE ROLE purger LOGIN;
GRANT SELECT ON tenants TO purger;
GRANT SELECT, DELETE ON users, credentials, api_keys, oauth_clients TO purger;
