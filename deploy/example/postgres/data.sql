-- 1,000 tenants: 200 trees of a root, two sub-tenants, and one below each. In every
-- fifth tree something is disabled, with a date that has passed or will come.
INSERT INTO tenants (id, name, hostname)
SELECT format('t%s', r), format('Tenant %s', r), format('t%s.example.com', r) FROM generate_series(1, 200) r;
INSERT INTO tenants (id, parent_id, name)
SELECT format('t%s-%s', r, s), format('t%s', r), format('Part %s of tenant %s', s, r)
FROM generate_series(1, 200) r, generate_series(1, 2) s;
INSERT INTO tenants (id, parent_id, name)
SELECT format('t%s-%s-1', r, s), format('t%s-%s', r, s), format('Part of part %s of tenant %s', s, r)
FROM generate_series(1, 200) r, generate_series(1, 2) s;

UPDATE tenants SET status = 'disabled', disabled_at = now() - interval '40 days', purge_after_days = 30
WHERE id IN (SELECT format('t%s', r) FROM generate_series(5, 75, 5) r); -- due with all below
UPDATE tenants SET status = 'disabled', disabled_at = now() - interval '20 days', purge_after_days = 15
WHERE id IN (SELECT format('t%s-1', r) FROM generate_series(105, 150, 5) r); -- due: a part of a tree
UPDATE tenants SET status = 'disabled', disabled_at = now() - interval '5 days', purge_after_days = 30
WHERE id IN (SELECT format('t%s', r) FROM generate_series(155, 180, 5) r); -- in 25 days

INSERT INTO users (tenant_id, email)
SELECT t.id, format('user%s@%s.example.com', n, t.id) FROM tenants t, generate_series(1, 20) n;
INSERT INTO credentials (tenant_id, user_id, hash) SELECT tenant_id, id, md5(email) FROM users WHERE id % 2 = 0;
INSERT INTO api_keys (tenant_id, user_id, prefix) SELECT tenant_id, id, left(md5(email), 8) FROM users WHERE id % 4 = 0;
INSERT INTO oauth_clients (id, tenant_id, name)
SELECT format('client-%s-%s', n, t.id), t.id, format('Client %s', n) FROM tenants t, generate_series(1, 2) n;
ANALYZE;
